"""Which part waits for what, and which worker does what. Pure logic; the conductor carries it out."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pipeline.splitting.part import Part

Stage: TypeAlias = Literal["detect", "render"]
STAGES: tuple[Stage, ...] = ("render", "detect")  # in the order in which they are granted

MOST_ATTEMPTS = 3  # of one stage of a part
LONGEST_SILENCE_S = 60.0  # of a worker that has a grant: it hangs, or decodes far more than it was granted
_OWN_STALL_S = 5.0  # between two checks of the silence: the conductor itself was blocked, for instance by the share


class SplitAbandonedError(Exception):
    """Not an error: the rest of the recording must be worked on without parts. The checkpoint is up to date."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The right of one worker to write the files of one stage of a part, into a folder that no other grant has."""

    worker: str
    part: Part
    stage: Stage
    number: int

    @property
    def folder(self) -> str:
        return f"{self.part.index:04d}-{self.number}"


class PartBoard:
    """Hands the parts out. A worker has one grant of each stage at a time: it detects in one part and renders another.

    Detection runs ahead of rendering by a limited number of parts, so that tables do not pile up. A worker renders the
    parts in which it has detected, as it may still have their frames; another one does if it has ended, or if nothing
    else is left to do.

    Args:
        workers: their number.
        clock: monotonic seconds.
    """

    def __init__(self, parts: Sequence[Part], workers: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._heard_at: dict[str, float] = {}  # by folder of a grant
        self._checked_at = clock()
        self._parts = parts
        self._ahead = 2 * max(1, workers) + 1
        self._to_detect = deque(part.index for part in parts)
        self._to_render: list[int] = []
        self._rendered: set[int] = set()
        self._detectors: dict[int, str] = {}
        self._grants: dict[str, Grant] = {}  # by folder
        self._busy: set[tuple[str, Stage]] = set()  # workers, with the stage of each of their grants
        self._attempts: dict[tuple[int, Stage], int] = {}
        self._granted = [0] * len(parts)
        self._oldest = 0  # all parts before it are rendered

    @property
    def done(self) -> bool:
        return len(self._rendered) == len(self._parts)

    def hear(self, folder: str) -> Grant | None:
        """Record that something was heard about a grant; return the grant, or None if it was taken back."""
        if folder in self._grants:
            self._heard_at[folder] = self._clock()
        return self._grants.get(folder)

    def check_silence(self) -> None:
        """Make sure that something was heard about each grant lately; call it several times a second.

        Raises:
            SplitAbandonedError: a worker has been silent for too long.
        """
        now, before = self._clock(), self._checked_at
        self._checked_at = now
        if now - before > _OWN_STALL_S:
            self._heard_at = {folder: at + now - before for folder, at in self._heard_at.items()}
        if any(now - self._heard_at[folder] > LONGEST_SILENCE_S for folder in self._grants):
            raise SplitAbandonedError("a worker does not get on")

    def grant(self, worker: str, stage: Stage) -> Grant | None:
        """Return what a worker does next; None if nothing is to be done now, or it has a grant of this stage."""
        if (worker, stage) in self._busy:
            return None
        index = self._next_to_detect() if stage == "detect" else self._next_to_render(worker)
        if index is None:
            return None
        if stage == "detect":
            self._to_detect.remove(index)
            self._detectors[index] = worker
        else:
            self._to_render.remove(index)
        self._granted[index] += 1
        grant = Grant(worker, self._parts[index], stage, self._granted[index])
        self._grants[grant.folder] = grant
        self._heard_at[grant.folder] = self._clock()
        self._busy.add((worker, stage))
        return grant

    def _next_to_detect(self) -> int | None:
        return self._to_detect[0] if self._to_detect and self._to_detect[0] < self._oldest + self._ahead else None

    def _next_to_render(self, worker: str) -> int | None:
        own = [index for index in self._to_render if self._detectors.get(index) in (worker, None)]
        others = self._to_render if self._next_to_detect() is None else []
        return next(iter([*own, *others]), None)

    def finish(self, folder: str) -> Grant:
        """Record that the work of a grant is done; return the grant."""
        grant = self._remove(folder)
        if grant.stage == "render":
            self.skip(grant.part.index)
        return grant

    def _remove(self, folder: str) -> Grant:
        del self._heard_at[folder]
        grant = self._grants.pop(folder)
        self._busy.remove((grant.worker, grant.stage))
        return grant

    def skip(self, index: int) -> None:
        """Record that a part needs no rendering."""
        self._rendered.add(index)
        while self._oldest in self._rendered:
            self._oldest += 1

    def may_render(self, index: int) -> None:
        """Record that the rows of a part are decided."""
        self._to_render = sorted([*self._to_render, index])

    def fail(self, folder: str, reason: str) -> Grant:
        """Take a grant back after a failure, so that the work is granted again; return it.

        Raises:
            SplitAbandonedError: that has happened too often.
        """
        grant = self._grants[folder]
        key = grant.part.index, grant.stage
        self._attempts[key] = self._attempts.get(key, 0) + 1
        if self._attempts[key] >= MOST_ATTEMPTS:
            self._remove(folder)
            raise SplitAbandonedError(reason)
        return self.take_back(folder)

    def take_back(self, folder: str) -> Grant:
        """Take a grant back, so that the work is granted again; return it."""
        grant = self._remove(folder)
        index = grant.part.index
        self._detectors.pop(index, None)
        if grant.stage == "detect":
            self._to_detect = deque(sorted([*self._to_detect, index]))
        else:
            self.may_render(index)
        return grant

    def leave(self, worker: str, reason: str, *, is_failure: bool = True) -> list[Grant]:
        """Take back all grants of a worker that has ended; return them.

        Raises:
            SplitAbandonedError: work has failed too often.
        """
        self._detectors = {index: name for index, name in self._detectors.items() if name != worker}
        held = [grant.folder for grant in self._grants.values() if grant.worker == worker]
        return [self.fail(folder, reason) if is_failure else self.take_back(folder) for folder in held]
