"""The checkpoint: everything that a killed job needs to go on as if nothing had happened."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from pipeline.durable import write_durably
from pipeline.segments.segment import SegmentRecord, is_intact
from pipeline.workdir import WorkDir

FORMAT = 1


@dataclass(slots=True)
class Checkpoint:
    """State as of a segment boundary.

    Attributes:
        fingerprint: hash of source, settings, models and program; another one means: start over.
        compute_class: where the segments were rendered (see ``engines.compute_class``), so that a difference can be
            named; it must be the same, too.
        started_over: why earlier work on the recording was not gone on with, once for each time.
        job: the job that wrote it.
        source_sha256: of its whole source; "" where that was not known yet.
        reused_segments: how many of the segments an earlier job on the same source had rendered.
        extradata: the encoder's headers (hex), the same for all segments.
        segments: finished segments, oldest first.
        next_pts: pts of the first frame that is in no segment; None when all are.
        analysis: state of detection, tracking, recognition and cameras (see ``Analysis.state``).
        counters: decode errors, replaced frames and the like, up to the boundary.
        timing: state of the job's clock; wall_s: time spent by all attempts so far.
        breaker: state of the breaker (see ``CircuitBreaker.to_json``), which has the degradation level.
        pauses: output time and reason of each pause.
        skipped: pts of analysed frames behind the boundary that were left out (see ``Thinning``).
        resumed_at_s: output times at which earlier attempts were taken up again.
        encoder: its name; one that is set without segments is to be used for all of them.
        encoder_note: why it is not a better one, for the report.
    """

    fingerprint: str
    job: str = ""
    source_sha256: str = ""
    extradata: str = ""
    segments: list[SegmentRecord] = field(default_factory=list)
    next_pts: int | None = None
    complete: bool = False
    analysis: dict[str, Any] = field(default_factory=dict)
    counters: dict[str, Any] = field(default_factory=dict)
    timing: dict[str, Any] = field(default_factory=dict)
    wall_s: float = 0.0
    breaker: dict[str, Any] = field(default_factory=dict)
    pauses: list[tuple[float, str]] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)
    resumed_at_s: list[float] = field(default_factory=list)
    checkpoints: int = 0
    reused_segments: int = 0
    encoder: str = ""
    encoder_note: str = ""
    encoder_threads: int = 0
    compute_class: dict[str, Any] = field(default_factory=dict)
    started_over: list[str] = field(default_factory=list)

    @property
    def frames(self) -> int:
        return sum(s.frames for s in self.segments)

    @property
    def source_frames(self) -> int:
        """Frames of the source that are dealt with: shown, or left out."""
        return sum(s.frames + s.skipped for s in self.segments)

    def hand_over(self, job: str) -> None:
        """Make it the state of another job on the same source, which has a history of its own."""
        self.job = job
        self.reused_segments = len(self.segments)
        self.resumed_at_s, self.wall_s, self.checkpoints, self.timing = [], 0.0, 0, {}
        self.breaker, self.pauses = {}, []

    def save(self, work_dir: Path) -> None:
        """Write atomically and durably.

        Raises:
            DiskFullError, StorageError: the work directory cannot be written.
        """
        body = {name: getattr(self, name) for name in self.__slots__ if name != "segments"}
        body["segments"] = [s.to_json() for s in self.segments]
        payload = orjson.dumps(body)
        envelope = {
            "format": FORMAT,
            "sha256": hashlib.sha256(payload).hexdigest(),
            "body": orjson.Fragment(payload),
        }
        write_durably(WorkDir(work_dir).checkpoint, orjson.dumps(envelope))


def load(work_dir: Path, fingerprint: str) -> tuple[Checkpoint | None, str | None]:
    """Read the checkpoint of an earlier attempt.

    Returns:
        The checkpoint, or None and the reason why the job must start over (None too where there was no earlier one).
    """
    paths = WorkDir(work_dir)
    path = paths.checkpoint
    if not path.exists():
        return None, None
    body = _verified_body(path)
    if body is None:
        return None, "the checkpoint is damaged"
    if body.get("fingerprint") != fingerprint:
        return None, "the source, the configuration or the program has changed"
    try:
        segments = [SegmentRecord(**s) for s in body.pop("segments")]
        checkpoint = Checkpoint(segments=segments, **body)
    except (KeyError, TypeError):  # fields come and go
        return None, "another version of the program wrote the checkpoint"
    folder = paths.segments
    if folder.is_symlink() or not all(is_intact(folder, s) for s in segments):
        return None, "a finished segment is missing or damaged"
    return checkpoint, None


def _verified_body(path: Path) -> dict[str, Any] | None:
    try:
        raw = path.read_bytes() if path.is_file() else b""  # a pipe would wait for a writer
        envelope = orjson.loads(raw)
        body: dict[str, Any] = envelope["body"]
        good = isinstance(body, dict) and envelope["format"] == FORMAT
        good = good and hashlib.sha256(orjson.dumps(body)).hexdigest() == envelope["sha256"]
    except (ValueError, KeyError, TypeError):
        return None
    return body if good else None
