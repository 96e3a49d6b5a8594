"""What conductor and part workers say to each other. All of it is plain data that goes through a pipe.

Large things lie in files: a part's folder holds its table, or the rows to render, and the segments and thumbnails
(``pipeline.workdir.THUMBNAILS``) that come of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from pydantic import TypeAdapter

from pipeline.segments.segment import SegmentRecord
from pipeline.splitting.part import Part

StageTimes: TypeAlias = Mapping[str, tuple[float, int]]  # seconds and frames by stage

TABLE = "table.npz"
ROWS = "rows.jsonl"
SEGMENTS = "segments"


@dataclass(frozen=True, slots=True)
class EncoderPin:
    """What all segments of a job have in common (see ``Checkpoint``); empty where the first segment decides."""

    encoder: str = ""
    threads: int = 0
    extradata: str = ""


@dataclass(frozen=True, slots=True)
class DetectPart:
    """The order to write the detection table of a part into a folder of the job's parts.

    Attributes:
        start_pts: of the recording's first frame, which is 0 s.
        compute_class: of the job; another one gives other results.
        workers: number of workers of the job.
    """

    part: Part
    folder: str
    start_pts: int
    compute_class: dict[str, Any]
    workers: int


@dataclass(frozen=True, slots=True)
class RenderPart:
    """The order to render the segments of a part, whose rows are in the folder.

    Attributes:
        first_frame: number of frames of the output before the part.
        before_t: time of the last of them in seconds; None if there is none.
    """

    part: Part
    folder: str
    start_pts: int
    compute_class: dict[str, Any]
    first_frame: int
    before_t: float | None
    pin: EncoderPin


@dataclass(frozen=True, slots=True)
class PartProgress:
    """Seconds of the recording, and frames, that an order has done since the last message."""

    folder: str
    seconds: float
    frames: int


@dataclass(frozen=True, slots=True)
class TableWritten:
    """A part's table is in its folder.

    Attributes:
        flaw: why the part must be worked on without splitting; "" if it need not.
    """

    folder: str
    sha256: str
    times: StageTimes
    flaw: str = ""


@dataclass(frozen=True, slots=True)
class SegmentsRendered:
    """A part's segments are in its folder, in order of time."""

    folder: str
    records: tuple[SegmentRecord, ...]
    encoder: str
    extradata: str
    times: StageTimes
    bytes_to_host: int = 0


@dataclass(frozen=True, slots=True)
class PartFailed:
    """An order could not be carried out; ``flaw`` says why."""

    folder: str
    flaw: str


@dataclass(frozen=True, slots=True)
class WorkerLeft:
    """A worker has ended; nothing of what it was ordered will come.

    Attributes:
        is_failure: whether that may be the fault of what it worked on.
    """

    reason: str = ""
    is_failure: bool = True


Order: TypeAlias = DetectPart | RenderPart
Answer: TypeAlias = PartProgress | TableWritten | SegmentsRendered | PartFailed | WorkerLeft
_ORDERS = {kind.__name__: TypeAdapter[Any](kind) for kind in (DetectPart, RenderPart)}
_ANSWERS = {
    kind.__name__: TypeAdapter[Any](kind)
    for kind in (PartProgress, TableWritten, SegmentsRendered, PartFailed, WorkerLeft)
}


def order_from_json(body: dict[str, Any]) -> Order:
    """Return an order from its fields and its "kind".

    Raises:
        KeyError, ValidationError: it is none.
    """
    order: Order = _ORDERS[body["kind"]].validate_python({k: v for k, v in body.items() if k != "kind"})
    return order


def answer_from_json(body: dict[str, Any]) -> Answer:
    """Return an answer from its fields and its "kind".

    Raises:
        KeyError, ValidationError: it is none.
    """
    answer: Answer = _ANSWERS[body["kind"]].validate_python({k: v for k, v in body.items() if k != "kind"})
    return answer


class Crew(Protocol):
    """The workers of one job. Each works on one order of each kind at a time."""

    def workers(self) -> Sequence[str]:
        """Return the names of the workers at hand; more may join, and any may leave."""
        ...

    def give(self, worker: str, order: Order) -> None:
        """Give a worker its next order."""
        ...

    def answer(self, timeout_s: float) -> tuple[str, Answer] | None:
        """Wait for the next answer; return it with the worker's name, or None after ``timeout_s``."""
        ...

    def dismiss(self) -> None:
        """Let all workers end, if that has not been done."""
        ...


@dataclass(slots=True)
class Counts:
    """Stage times that add up."""

    times: dict[str, tuple[float, int]] = field(default_factory=dict)

    def add(self, stage: str, seconds: float, frames: int) -> None:
        before_s, before = self.times.get(stage, (0.0, 0))
        self.times[stage] = before_s + seconds, before + frames
