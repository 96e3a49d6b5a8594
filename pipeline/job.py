"""The interface between daemon and pipeline: the order for one job, its progress and its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from engines.nvenc_sessions import SessionProbe
from engines.settings import DeviceSettings, LimitsSettings
from pipeline.corrections import NO_CORRECTIONS, Corrections
from pipeline.settings import DegradationSettings, ProfileSettings, SegmentSettings
from pipeline.telemetry.counters import StatsDelta
from pipeline.workdir import WorkDir


@dataclass(frozen=True, slots=True)
class JobSpec:
    """The order to do one job. Picklable, as it is sent to a spawned worker.

    Attributes:
        input_name: path of the source as the user knows it, for the report.
        work_dir: an existing folder for this job alone; it holds all that is needed to resume.
        parts: the files in which the recording continues.
        part_names: their paths as the user knows them.
        nvenc: the encoder sessions of the GPU, if they were counted.
        chunk_s: length of the pieces in which several workers share the recording.
    """

    job_id: str
    source: Path
    input_name: str
    work_dir: Path
    profile: ProfileSettings = field(default_factory=ProfileSettings)
    profile_name: str = "default"
    device: DeviceSettings = field(default_factory=DeviceSettings)
    limits: LimitsSettings = field(default_factory=LimitsSettings)
    segments: SegmentSettings = field(default_factory=SegmentSettings)
    degradation: DegradationSettings = field(default_factory=DegradationSettings)
    attempt: int = 1
    host: str = ""
    debug_overlay: bool = False
    corrections: Corrections = NO_CORRECTIONS
    parts: tuple[Path, ...] = ()
    part_names: tuple[str, ...] = ()
    nvenc: SessionProbe | None = None
    chunk_s: float = 60.0

    @property
    def paths(self) -> WorkDir:
        """The files in the work directory."""
        return WorkDir(self.work_dir)


# Rendering takes nearly all of the time. A debug video takes as long again, on request only.
_RENDER_PERCENT = 97.0
_PERCENT_OF_STAGE = {
    "render": (0.0, _RENDER_PERCENT),
    "wait": (0.0, _RENDER_PERCENT),
    "space": (0.0, _RENDER_PERCENT),
    "listen": (_RENDER_PERCENT, 97.5),
    "assemble": (97.5, 98.5),
    "verify": (98.5, 100.0),
    "debug": (100.0, 200.0),
}
RESTING = ("wait", "space")  # stages in which the job waits
PRODUCTIVE_STAGES = tuple(stage for stage in _PERCENT_OF_STAGE if stage not in RESTING)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is.

    Attributes:
        stage: "probe", "render", "wait" (for the device), "space" (for the disk), "listen" (reads the audio),
            "assemble", "verify" or "debug".
        duration_s: None if the container does not give it.
        fps: recent output frames per wall-clock second.
        level: of degradation.
        level_reason: why the level is not normal, for people.
        trip: the kind of the trigger behind that.
        lacks: in the stage "space", what is lacking on the disk, for people.
        render_s: time that rendering the whole recording takes at the recent throughput.
        with_debug: a debug video follows.
    """

    stage: str
    frames_done: int = 0
    seconds_done: float = 0.0
    duration_s: float | None = None
    fps: float = 0.0
    level: str = "normal"
    level_reason: str = ""
    trip: str = ""
    lacks: str = ""
    render_s: float | None = None
    with_debug: bool = False

    @property
    def percent(self) -> float | None:
        """Share of the whole job that is done; None if that is unknown. No stage begins below the end of the last."""
        if not self.duration_s:
            return None
        begin, end = _PERCENT_OF_STAGE.get(self.stage, (0.0, 0.0))
        return (begin + (end - begin) * min(1.0, self.seconds_done / self.duration_s)) / self._passes

    @property
    def realtime(self) -> float | None:
        """Recent seconds of the recording per second of work; None if nothing is rendered."""
        if self.stage != "render" or self.fps <= 0 or not self.frames_done:
            return None
        return self.fps * self.seconds_done / self.frames_done

    @property
    def left_s(self) -> float | None:
        """Time until the job is done, with all stages, at the recent throughput; None if that is unknown."""
        if self.percent is None or self.render_s is None:
            return None
        return self.render_s * (100.0 - self.percent) / _RENDER_PERCENT * self._passes

    @property
    def _passes(self) -> int:
        return 2 if self.with_debug else 1


@dataclass(frozen=True, slots=True)
class Deliverables:
    """Finished files in the work directory by kind (see ``pipeline.workdir``); ``debug`` and ``html`` on request."""

    video: Path
    report: Path
    tracks: Path
    preview: Path
    debug: Path | None = None
    html: Path | None = None


@dataclass(frozen=True, slots=True)
class JobResult:
    """A finished job.

    Attributes:
        status: "succeeded" or "succeeded_degraded".
        verdict: one sentence for people.
        facts: the content of the verdict as numbers (see ``report.common.facts``).
    """

    status: str
    files: Deliverables
    verdict: str
    frames: int
    duration_s: float
    wall_s: float
    facts: dict[str, Any] = field(default_factory=dict)


ProgressCallback: TypeAlias = Callable[[Progress], None]
StatsCallback: TypeAlias = Callable[[StatsDelta], None]
