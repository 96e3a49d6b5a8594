"""The checkpoint: all that a killed job needs to go on at the last segment and give the same output."""

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


@dataclass(frozen=True, slots=True)
class Counters:
    """Figures of all attempts up to the last segment boundary.

    Attributes:
        truncated: the end of the source is missing.
        cpu_fallback: the CPU decoded a part in place of the GPU.
    """

    replaced_frames: int = 0
    truncated: bool = False
    cpu_fallback: bool = False


@dataclass(frozen=True, slots=True)
class Boundary:
    """The end of a segment, at which a job can be resumed.

    Attributes:
        next_pts: pts of the first frame after it; None at the end of the stream.
        analysis: state of detection, tracking, recognition and cameras (see ``Analysis.state``).
        skipped: number of frames of the segment that frame skip left out.
        skipped_ahead: pts of analysed frames after the boundary that frame skip left out (see ``FrameSkipper``).
    """

    next_pts: int | None
    analysis: dict[str, Any]
    skipped: int
    skipped_ahead: list[int]


@dataclass(slots=True)
class Checkpoint:
    """The state of a job as of a segment boundary. Other modules read its fields; only its methods change them.

    Attributes:
        fingerprint: hash of source, settings, models and program; with another one the job starts over.
        compute_class: hardware and software that rendered the segments (see ``engines.compute_class``); with others
            the job starts over, and the difference can be named.
        started_over: why earlier work on the recording could not be used, once for each time.
        job: id of the job that wrote it.
        source_sha256: of the whole source; "" if it is not known yet.
        reused_segments: number of segments that an earlier job on the same source rendered.
        extradata: the encoder's headers (hex), the same for all segments.
        segments: finished segments, oldest first.
        next_pts: pts of the first frame that is in no segment; None if all frames are.
        analysis, skipped: those of the last ``Boundary``, the latter as ``skipped_ahead``.
        timing: state of the timers; wall_s: time that all attempts have spent.
        breaker: state of the level ladder (see ``LevelLadder.to_json``).
        pauses: output time in seconds and reason of each pause.
        resumed_at_s: output times at which the job was resumed.
        encoder: name of the encoder; if there are no segments yet, of the one that all of them must use.
        encoder_note: why it is not a better one, for the report.
        part_workers: most workers that shared the work on parts of the recording; 0: it was not split.
    """

    fingerprint: str
    job: str = ""
    source_sha256: str = ""
    extradata: str = ""
    segments: list[SegmentRecord] = field(default_factory=list)
    next_pts: int | None = None
    complete: bool = False
    analysis: dict[str, Any] = field(default_factory=dict)
    counters: Counters = Counters()
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
    part_workers: int = 0

    @property
    def frames(self) -> int:
        return sum(s.frames for s in self.segments)

    def add_segment(self, record: SegmentRecord, boundary: Boundary, *, encoder: str, extradata: bytes) -> None:
        """Append a finished segment, and move the boundary behind it."""
        self.segments.append(record)
        self.next_pts = boundary.next_pts
        self.complete = boundary.next_pts is None
        self.analysis = boundary.analysis
        self.skipped = boundary.skipped_ahead
        self.encoder = encoder
        self.extradata = extradata.hex()
        self.checkpoints += 1

    def add_figures(self, counters: Counters, timing: dict[str, Any], *, wall_s: float) -> None:
        """Record counters and timers as of the last boundary, and add the time since the one before."""
        self.counters = counters
        self.timing = timing
        self.wall_s += wall_s

    def replace_segment(self, position: int, record: SegmentRecord) -> None:
        """Record that a segment was rendered again."""
        self.segments[position] = record

    def hand_over(self, job: str) -> None:
        """Make it the checkpoint of another job on the same source, without the history of the earlier job."""
        self.job = job
        self.reused_segments = len(self.segments)
        self.resumed_at_s, self.wall_s, self.checkpoints, self.timing = [], 0.0, 0, {}
        self.breaker, self.pauses = {}, []
        self.part_workers = 0

    def add_resume(self, at_s: float) -> None:
        self.resumed_at_s.append(at_s)

    def add_pause(self, at_s: float, reason: str) -> None:
        self.pauses.append((at_s, reason))

    def add_crew(self, workers: int) -> None:
        """Record that workers share the work."""
        self.part_workers = max(self.part_workers, workers)

    def set_source_digest(self, sha256: str) -> None:
        self.source_sha256 = sha256

    def set_breaker(self, state: dict[str, Any]) -> None:
        """Record the state of the level ladder."""
        self.breaker = state

    def set_compute_class(self, compute_class: dict[str, Any]) -> None:
        self.compute_class = compute_class

    def pin_encoder(self, name: str, note: str) -> None:
        """Let one encoder encode all segments, although ``note`` says that there is a better one."""
        self.encoder, self.encoder_note = name, note

    def pin_encoder_threads(self, threads: int) -> None:
        self.encoder_threads = threads

    def restarted(self, job: str, reason: str) -> Checkpoint:
        """Return an empty checkpoint with the same fingerprint, for a job that starts over."""
        return Checkpoint(self.fingerprint, job, started_over=[*self.started_over, reason])

    def save(self, work_dir: Path) -> None:
        """Write it atomically and durably.

        Raises:
            DiskFullError, StorageError: the work directory cannot be written.
        """
        payload = orjson.dumps({name: getattr(self, name) for name in self.__slots__})
        envelope = {
            "format": FORMAT,
            "sha256": hashlib.sha256(payload).hexdigest(),
            "body": orjson.Fragment(payload),
        }
        write_durably(WorkDir(work_dir).checkpoint, orjson.dumps(envelope))


def load(work_dir: Path, fingerprint: str) -> tuple[Checkpoint | None, str | None]:
    """Read the checkpoint of an earlier attempt.

    Returns:
        The checkpoint, or None and the reason why the job must start over; both are None if there was no earlier
        attempt.
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
        counters = Counters(**body.pop("counters"))
        checkpoint = Checkpoint(segments=segments, counters=counters, **body)
    except (KeyError, TypeError):  # fields differ between versions
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
