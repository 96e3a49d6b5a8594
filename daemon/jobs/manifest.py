"""The manifest: what a job directory records, so that the job survives a crash at any point."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from daemon.share.rename import FileMark

FORMAT = 1


class JobState(StrEnum):
    """How far a job has come."""

    CLAIMING = "claiming"  # the directory exists, the source may not be in it yet
    SETTLING = "settling"  # the source is claimed, but somebody may still be writing to it
    QUEUED = "queued"
    WORKING = "working"
    DELIVERING = "delivering"
    FAILING = "failing"
    DONE = "done"  # only the directory is left to be removed


@dataclass(slots=True)
class Move:
    """A file that is to be moved out of the job directory. ``target`` is relative to the share's root."""

    kind: str
    name: str  # in the job directory
    target: str
    mark: FileMark


@dataclass(slots=True)
class Manifest:
    """The record of one job. Paths are text with surrogate escapes, so every byte of a name survives.

    Attributes:
        relative: path of the source inside its inbox.
        parts: paths of the files in which the recording goes on, inside its inbox; part_marks: as ``source``.
        sidecar: whether a sidecar was claimed with the source; sidecar_name: its path inside the inbox.
        sidecar_fault: why the sidecar cannot be used, such as "x.dualface.yaml is a folder", else "".
        key: names the source's content (see ``segment_cache.key_of``).
        attempts: workers that were started on the job.
        node, gpu: host of the last attempt, "" without one, and the number of its GPU, None on the CPU.
        compute_class: of the place of the last attempt; "" where that does not matter.
        worked_s: total time of the attempts that have ended.
        consecutive_failures: failed attempts in a row without a new checkpoint.
        interruptions: how often in a row the whole service died during an attempt.
        checkpoint: mark of the checkpoint file when the last attempt began.
        publish, retire: moves that were decided on; they are repeated until all are done.
    """

    job: str
    inbox: str
    relative: str
    profile: str
    priority: int = 0
    state: JobState = JobState.CLAIMING
    claimed_at_s: float = 0.0
    parts: list[str] = field(default_factory=list)
    sidecar: bool = False
    sidecar_name: str = ""
    sidecar_fault: str = ""
    source: FileMark | None = None
    part_marks: list[FileMark] = field(default_factory=list)
    key: str = ""
    attempts: int = 0
    node: str = ""
    gpu: int | None = None
    compute_class: str = ""
    worked_s: float = 0.0
    consecutive_failures: int = 0
    interruptions: int = 0
    checkpoint: FileMark | None = None
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    publish: list[Move] = field(default_factory=list)
    retire: list[Move] = field(default_factory=list)
    format: int = FORMAT
