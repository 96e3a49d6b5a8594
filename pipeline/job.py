"""The order for one job, its progress and its result: all that the daemon and the pipeline tell each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from engines.cuda.sessions import SessionProbe
from engines.settings import DeviceSettings, LimitsSettings
from pipeline.corrections import NO_CORRECTIONS, Corrections
from pipeline.settings import DegradationSettings, ProfileSettings, SegmentSettings
from pipeline.telemetry.counters import StatsDelta
from pipeline.workdir import WorkDir


@dataclass(frozen=True, slots=True)
class JobSpec:
    """One file to be worked on. Picklable: it travels to a spawned worker.

    ``work_dir`` exists and belongs to this job alone; everything that is needed to resume lies in it.
    ``input_name`` is the path that the report shows, as the user knows the file. ``parts`` are the files in which the
    recording goes on, ``part_names`` the same as the user knows them. ``nvenc`` are the encoder sessions of the GPU,
    where they were counted.
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


RESTING = ("wait", "space")  # stages in which nothing is done until something else changes


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a job stands. ``frames_total`` and ``duration_s`` are None where the container does not say."""

    # "probe", "render", "wait" (for the device), "space" (for the disk), "listen", "assemble", "verify", "debug"
    stage: str
    frames_done: int = 0
    frames_total: int | None = None
    seconds_done: float = 0.0
    duration_s: float | None = None
    fps: float = 0.0  # output frames per wall-clock second, lately
    level: str = "normal"  # degradation level
    level_reason: str = ""  # why it is not normal, in plain words
    trip: str = ""  # the kind of trouble behind it
    lacks: str = ""  # in the stage "space": what is lacking on the disk, in plain words
    render_s: float | None = None  # how long rendering all of it takes, at the recent pace
    with_debug: bool = False  # a debug video follows

    @property
    def percent(self) -> float | None:
        """Of the whole job; None until that can be known. It never goes back from one stage to the next."""
        if not self.duration_s:
            return None
        begin, end = _PERCENT_OF_STAGE.get(self.stage, (0.0, 0.0))
        return (begin + (end - begin) * min(1.0, self.seconds_done / self.duration_s)) / self._passes

    @property
    def realtime(self) -> float | None:
        """Seconds of the recording that are done in a second, lately; None where nothing is rendered."""
        if self.stage != "render" or self.fps <= 0 or not self.frames_done:
            return None
        return self.fps * self.seconds_done / self.frames_done

    @property
    def left_s(self) -> float | None:
        """Time until the job is done, all stages included, at the recent pace; None while that cannot be known."""
        if self.percent is None or self.render_s is None:
            return None
        return self.render_s * (100.0 - self.percent) / _RENDER_PERCENT * self._passes

    @property
    def _passes(self) -> int:
        return 2 if self.with_debug else 1


@dataclass(frozen=True, slots=True)
class Deliverables:
    """Finished files in the work directory, not yet under their final names. ``debug`` and ``html`` only on request."""

    video: Path
    report: Path
    tracks: Path
    preview: Path
    debug: Path | None = None
    html: Path | None = None


@dataclass(frozen=True, slots=True)
class JobResult:
    """A finished job: ``status`` is "succeeded" or "succeeded_degraded".

    ``facts`` are what the verdict says, as numbers (see ``report.facts``).
    """

    status: str
    files: Deliverables
    verdict: str  # one line for people
    frames: int
    duration_s: float
    wall_s: float
    facts: dict[str, Any] = field(default_factory=dict)


ProgressCallback: TypeAlias = Callable[[Progress], None]
TallyCallback: TypeAlias = Callable[[StatsDelta], None]
StopCheck: TypeAlias = Callable[[], bool]
