"""Which part waits for what, and which worker does what. Pure logic; the conductor carries it out."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pipeline.splitting.part import Part

Stage: TypeAlias = Literal["detect", "render"]

MOST_ATTEMPTS = 3  # of one stage of a part


class SplitAbandonedError(Exception):
    """Not an error: the rest of the recording must be worked on without parts. The checkpoint is up to date."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The right of one worker to write the files of one stage of a part, into a folder that no other grant has."""

    part: Part
    stage: Stage
    number: int

    @property
    def folder(self) -> str:
        return f"{self.part.index:04d}-{self.number}"


class PartBoard:
    """Hands the parts out. A worker has one grant at a time.

    Detection runs ahead of rendering by a limited number of parts, so that tables do not pile up. A worker renders the
    parts in which it has detected, while there are any, as it may still have their frames.
    """

    def __init__(self, parts: Sequence[Part], workers: int) -> None:
        self._parts = parts
        self._ahead = 2 * max(1, workers) + 1
        self._to_detect = deque(part.index for part in parts)
        self._to_render: list[int] = []
        self._rendered: set[int] = set()
        self._detectors: dict[int, str] = {}
        self._grants: dict[str, Grant] = {}
        self._attempts: dict[tuple[int, Stage], int] = {}
        self._granted = [0] * len(parts)

    @property
    def done(self) -> bool:
        return len(self._rendered) == len(self._parts)

    def grant_of(self, worker: str) -> Grant | None:
        return self._grants.get(worker)

    def grant(self, worker: str) -> Grant | None:
        """Return what a worker does next; None if nothing is to be done now, or it has a grant already."""
        if worker in self._grants:
            return None
        if own := [index for index in self._to_render if self._detectors.get(index) == worker]:
            return self._grant(worker, own[0], "render")
        if self._to_detect and self._to_detect[0] < self._oldest_open + self._ahead:
            self._detectors[self._to_detect[0]] = worker
            return self._grant(worker, self._to_detect[0], "detect")
        return self._grant(worker, self._to_render[0], "render") if self._to_render else None

    def finish(self, worker: str) -> Grant:
        """Record that a worker has done what it was granted; return its grant."""
        grant = self._grants.pop(worker)
        if grant.stage == "render":
            self.skip(grant.part.index)
        return grant

    def skip(self, index: int) -> None:
        """Record that a part needs no rendering."""
        self._rendered.add(index)

    def may_render(self, index: int) -> None:
        """Record that the rows of a part are decided."""
        self._to_render = sorted([*self._to_render, index])

    def fail(self, worker: str, reason: str) -> Grant | None:
        """Take a worker's grant back, so that another one gets the work; return it.

        Raises:
            SplitAbandonedError: that has happened too often.
        """
        grant = self._grants.pop(worker, None)
        if grant is None:
            return None
        key = grant.part.index, grant.stage
        self._attempts[key] = self._attempts.get(key, 0) + 1
        if self._attempts[key] >= MOST_ATTEMPTS:
            raise SplitAbandonedError(reason)
        if grant.stage == "detect":
            self._to_detect = deque(sorted([*self._to_detect, grant.part.index]))
        else:
            self._detectors.pop(grant.part.index, None)
            self.may_render(grant.part.index)
        return grant

    def leave(self, workers: Collection[str]) -> None:
        """Let others render what workers that have left detected."""
        self._detectors = {index: worker for index, worker in self._detectors.items() if worker not in workers}

    @property
    def _oldest_open(self) -> int:
        return next((part.index for part in self._parts if part.index not in self._rendered), len(self._parts))

    def _grant(self, worker: str, index: int, stage: Stage) -> Grant:
        if stage == "detect":
            self._to_detect.remove(index)
        else:
            self._to_render.remove(index)
        self._granted[index] += 1
        self._grants[worker] = grant = Grant(self._parts[index], stage, self._granted[index])
        return grant
