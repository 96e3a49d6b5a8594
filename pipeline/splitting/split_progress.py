"""How far the work on the parts is, as progress of one recording."""

from __future__ import annotations

from typing import TypeAlias

from pipeline.splitting.part_board import Stage

_WEIGHTS: dict[Stage, float] = {"detect": 0.3, "render": 0.7}  # of the work on a frame
_Key: TypeAlias = tuple[int, Stage]  # number of a part, and stage


class SplitProgress:
    """Adds up the stages of all parts; a frame is done when both are. It never goes back.

    Args:
        frames: number of frames that are done before.
        seconds: of the recording, likewise.
    """

    def __init__(self, frames: int, seconds: float) -> None:
        self.frames = self._first_frames = frames
        self.seconds = self._first_seconds = seconds
        self._done: dict[_Key, tuple[int, float]] = {}
        self._weighted, self._weighted_s = 0.0, 0.0  # the sums of what is done

    def add(self, part: int, stage: Stage, frames: int, seconds: float) -> None:
        """Add what a worker has done."""
        before, before_s = self._done.get((part, stage), (0, 0.0))
        self._done[part, stage] = before + frames, before_s + seconds
        self._weighted += _WEIGHTS[stage] * frames
        self._weighted_s += _WEIGHTS[stage] * seconds
        self.frames = max(self.frames, self._first_frames + round(self._weighted))
        self.seconds = max(self.seconds, self._first_seconds + self._weighted_s)

    def withdraw(self, part: int, stage: Stage) -> None:
        """Forget what a worker has done: another one begins it again."""
        frames, seconds = self._done.pop((part, stage), (0, 0.0))
        self._weighted -= _WEIGHTS[stage] * frames
        self._weighted_s -= _WEIGHTS[stage] * seconds
