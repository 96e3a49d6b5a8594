"""Which part waits for what, and which worker does what. Pure logic; the conductor carries it out."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pipeline.splitting.part import Part

Stage: TypeAlias = Literal["detect", "render"]
STAGES: tuple[Stage, ...] = ("render", "detect")  # in the order in which they are granted

MOST_ATTEMPTS = 3  # of one stage of a part


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
    """

    def __init__(self, parts: Sequence[Part], workers: int) -> None:
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

    def holds(self, folder: str) -> Grant | None:
        """Return the grant of a folder; None if it was taken back."""
        return self._grants.get(folder)

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
        self._busy.add((worker, stage))
        return grant

    def _take(self, folder: str) -> Grant:
        grant = self._grants.pop(folder)
        self._busy.remove((grant.worker, grant.stage))
        return grant

    def _next_to_detect(self) -> int | None:
        return self._to_detect[0] if self._to_detect and self._to_detect[0] < self._oldest + self._ahead else None

    def _next_to_render(self, worker: str) -> int | None:
        own = [index for index in self._to_render if self._detectors.get(index) in (worker, None)]
        others = self._to_render if self._next_to_detect() is None else []
        return next(iter([*own, *others]), None)

    def finish(self, folder: str) -> Grant:
        """Record that the work of a grant is done; return the grant."""
        grant = self._take(folder)
        if grant.stage == "render":
            self.skip(grant.part.index)
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
        """Take a grant back, so that the work is granted again; return it.

        Raises:
            SplitAbandonedError: that has happened too often.
        """
        grant = self._take(folder)
        index, stage = grant.part.index, grant.stage
        self._attempts[index, stage] = self._attempts.get((index, stage), 0) + 1
        if self._attempts[index, stage] >= MOST_ATTEMPTS:
            raise SplitAbandonedError(reason)
        self._detectors.pop(index, None)
        if stage == "detect":
            self._to_detect = deque(sorted([*self._to_detect, index]))
        else:
            self.may_render(index)
        return grant

    def leave(self, worker: str, reason: str) -> list[Grant]:
        """Take back all grants of a worker that has ended; return them.

        Raises:
            SplitAbandonedError: work was taken back too often.
        """
        self._detectors = {index: name for index, name in self._detectors.items() if name != worker}
        return [self.fail(grant.folder, reason) for grant in list(self._grants.values()) if grant.worker == worker]
