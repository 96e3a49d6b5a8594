"""The steps of a file's life, each known by the calls on the share that it makes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.faults.preload import Call

_SOURCE = "*/jobs/*/source"
_VIDEO = "*/outbox/*.dual.mp4"
_REPORT = "*/outbox/*.dual.report.json"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: the call at which things happen to it, and those of its calls that can fail.

    Attributes:
        role: "daemon" or "worker": who takes the step.
        call: the moment of the step.
        writes, fsyncs, reads, renames: None where it makes no such call.
        sections: configuration without which the step is not taken.
        redone: segments that are begun again at most if the step is interrupted once.
    """

    name: str
    role: str
    call: Call
    writes: Call | None = None
    fsyncs: Call | None = None
    reads: Call | None = None
    renames: Call | None = None
    sections: dict[str, dict[str, Any]] = field(default_factory=dict)
    redone: int = 1


SPLIT: dict[str, dict[str, Any]] = {
    "cluster": {"split": "always"},
    "workers": {"concurrent_jobs": 3, "stall_timeout_s": 20},  # longer than part workers take to start
}
_TABLE, _SEGMENT = "*/parts/*/table.npz", "*/parts/*/segments/000001"


def _daemon(operation: str, pattern: str, nth: int = 1, after: str = "") -> Call:
    return Call("daemon", operation, pattern, nth, ("rename", after) if after else None)


def _worker(operation: str, pattern: str, nth: int = 1) -> Call:
    return Call("worker", operation, pattern, nth)


def _conductor(operation: str, pattern: str, nth: int = 1) -> Call:
    """A call of the worker that has made the folder of all parts."""
    return Call("worker", operation, pattern, nth, ("mkdir", "*/parts"))


STEPS = (
    Step(
        "settling",
        "daemon",
        call=_daemon("list", "*/inbox", nth=2),
        reads=_daemon("list", "*/inbox", nth=2),
    ),
    Step(
        "claim",
        "daemon",
        call=_daemon("rename", _SOURCE),
        writes=_daemon("write", "*/jobs/*/job.json.part"),
        fsyncs=_daemon("fsync", "*/jobs/*", after=_SOURCE),
        reads=_daemon("read", _SOURCE),
        renames=_daemon("rename", _SOURCE),
    ),
    Step(
        "probe",
        "worker",
        call=_worker("open", _SOURCE, nth=2),
        reads=_worker("read", _SOURCE, nth=2),
    ),
    Step(
        "decode",
        "worker",
        call=Call("worker", "read", _SOURCE, 3, ("mkdir", "*/segments")),
        reads=Call("worker", "read", _SOURCE, 3, ("mkdir", "*/segments")),
    ),
    Step(
        "segment write",
        "worker",
        call=_worker("write", "*/segments/000001.h264.part"),
        writes=_worker("write", "*/segments/000001.h264.part"),
        fsyncs=_worker("fsync", "*/segments/000001.h264.part"),
        renames=_worker("rename", "*/segments/000001-*.h264"),
    ),
    Step(
        "checkpoint",
        "worker",
        call=_worker("rename", "*/checkpoint.json", nth=2),
        writes=_worker("write", "*/checkpoint.json.part", nth=2),
        fsyncs=_worker("fsync", "*/checkpoint.json.part", nth=2),
        renames=_worker("rename", "*/checkpoint.json", nth=2),
    ),
    Step(
        "assembly",
        "worker",
        call=_worker("write", "*/output.mp4.part", nth=2),
        writes=_worker("write", "*/output.mp4.part", nth=2),
        fsyncs=_worker("fsync", "*/output.mp4.part"),
        reads=Call("worker", "read", _SOURCE, 2, ("create", "*/output.mp4.part")),
        renames=_worker("rename", "*/output.mp4"),
    ),
    Step(
        "publish video",
        "daemon",
        call=_daemon("rename", _VIDEO),
        writes=_daemon("write", "*/published.report.json.part"),
        fsyncs=_daemon("fsync", "*/outbox", after=_VIDEO),
        reads=_daemon("read", "*/output.report.json"),
        renames=_daemon("rename", _VIDEO),
    ),
    Step(
        "publish report",
        "daemon",
        call=_daemon("rename", _REPORT),
        writes=_daemon("write", "*/job.json.part", after=_REPORT),
        fsyncs=_daemon("fsync", "*/outbox", after=_REPORT),
        renames=_daemon("rename", _REPORT),
    ),
    Step(
        "retire original",
        "daemon",
        call=_daemon("rename", "*/originals/x.mp4"),
        writes=_daemon("write", "*/job.json.part", after="*/originals/x.mp4"),
        fsyncs=_daemon("fsync", "*/originals"),
        renames=_daemon("rename", "*/originals/x.mp4"),
    ),
    Step(
        "part detected",
        "worker",
        call=_worker("write", _TABLE),
        writes=_worker("write", _TABLE),
        reads=_conductor("read", _TABLE),
        sections=SPLIT,
    ),
    Step(
        "part rendered",
        "worker",
        call=_worker("write", f"{_SEGMENT}.h264.part"),
        writes=_worker("write", f"{_SEGMENT}.h264.part"),
        fsyncs=_worker("fsync", f"{_SEGMENT}.h264.part"),
        renames=_worker("rename", f"{_SEGMENT}-*.h264"),
        sections=SPLIT,
        redone=3,
    ),
    Step(
        "part adopted",
        "worker",
        call=_conductor("rename", "*/segments/000001-*.h264"),
        writes=_conductor("write", "*/checkpoint.json.part"),
        fsyncs=_conductor("fsync", "*/checkpoint.json.part"),
        renames=_conductor("rename", "*/segments/000001-*.h264"),
        sections=SPLIT,
        redone=3,
    ),
)
