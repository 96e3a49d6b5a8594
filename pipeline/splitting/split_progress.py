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

    def add(self, part: int, stage: Stage, frames: int, seconds: float) -> None:
        """Add what a worker has done."""
        before, before_s = self._done.get((part, stage), (0, 0.0))
        self._done[part, stage] = before + frames, before_s + seconds
        weighted = [(_WEIGHTS[stage] * n, _WEIGHTS[stage] * s) for (_, stage), (n, s) in self._done.items()]
        self.frames = max(self.frames, self._first_frames + round(sum(n for n, _ in weighted)))
        self.seconds = max(self.seconds, self._first_seconds + sum(s for _, s in weighted))

    def withdraw(self, part: int, stage: Stage) -> None:
        """Forget what a worker has done: another one begins it again."""
        self._done.pop((part, stage), None)
