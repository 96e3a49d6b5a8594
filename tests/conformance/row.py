"""A row of the table: a recording, what must come of it, and its words in the document."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av

from engines.errors import ExplainedError
from pipeline.job import JobResult, JobSpec
from pipeline.runner import run_job
from pipeline.settings import ProfileSettings, SegmentSettings
from tests.conformance import scene
from tests.conformance.film import Film, Voice
from tests.conformance.judge import Expected, Heard, Look, troubles

FROM_PACKETS: Sequence[float] = ()      # a frame's times are those of the file's own packets

Spoil = Callable[[Path], Path | None]


@dataclass(frozen=True)
class Row:
    """One kind of recording.

    Attributes:
        name: unique; the parameter of the test.
        what, happens: for the document: the recording, and what becomes of it.
        film: the recording; None where ``spoil`` makes the file on its own.
        spoil: changes the written file, or makes another whose path it returns.
        error: the code of the explained error that it must end with.
        times_s, numbers, heard, warnings: instead of what follows from the film.
            ``FROM_PACKETS``, where a muxer does not write the film's own times.
        profile: settings of the job.
    """

    name: str
    what: str
    happens: str
    film: Film | None = None
    spoil: Spoil | None = None
    error: str | None = None
    times_s: Sequence[float] | None = None
    numbers: Sequence[int] | None = None
    heard: Sequence[Heard] | None = None
    warnings: Sequence[str] = ()
    look: Look = "exact"
    more: dict[str, Any] = field(default_factory=dict)       # other fields of ``Expected``
    profile: dict[str, Any] = field(default_factory=dict)

    def make(self, folder: Path) -> Path:
        path = self.film.write(folder) if self.film else folder / "film.mp4"
        return (self.spoil(path) if self.spoil else None) or path

    def expected(self, source: Path) -> Expected:
        assert self.film is not None
        times_s = self.film.times_s() if self.times_s is None else self.times_s or packet_times_s(source)
        return Expected(
            times_s=times_s,
            numbers=range(len(times_s)) if self.numbers is None else self.numbers,
            heard=heard_of(self.film.voices) if self.heard is None else self.heard,
            warnings=self.warnings,
            look=self.look,
            **self.more,
        )


@dataclass(frozen=True)
class Verdict:
    """What came of a row. ``facts`` are of the file that was made: container, codecs, layout, time base, colour."""

    row: str
    troubles: tuple[str, ...]
    facts: dict[str, str] = field(default_factory=dict)


def packet_times_s(path: Path) -> list[float]:
    """When the first video stream's packets are shown, from the first on."""
    with av.open(str(path)) as container:
        pts = sorted(p.pts for p in container.demux(video=0) if p.size and p.pts is not None)
        return [float((each - pts[0]) * container.streams.video[0].time_base) for each in pts]


def heard_of(voices: Sequence[Voice]) -> list[Heard]:
    """Each stream in a track of its own, each channel as it was."""
    return [track(number, voice) for number, voice in enumerate(voices)]


def track(number: int, voice: Voice, **changes: Any) -> Heard:
    hz = [60 if c == voice.lfe else scene.pitch_hz(number, c) for c in range(voice.channels)]
    return Heard(tuple(frozenset({each}) for each in hz), **({"length_s": voice.length_s} | changes))


def mixed(*numbered: tuple[int, Voice], **changes: Any) -> Heard:
    """One track in which all channels of these streams are heard."""
    hz = frozenset(scene.pitch_hz(number, c) for number, voice in numbered for c in range(voice.channels))
    return Heard((hz,), mixed=True, **({"length_s": numbered[0][1].length_s} | changes))


def judge(row: Row, folder: Path) -> Verdict:
    """Make the row's recording, run the pipeline on it and judge what comes of it."""
    from tests.conformance.facts import facts_of  # noqa: PLC0415

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source = row.make(folder)
    facts = facts_of(source)
    try:
        result = run(row, source, folder / "work")
    except ExplainedError as error:
        wrong = () if error.code == row.error else (f"ends with {error.code}: {error.message}",)
        return Verdict(row.name, wrong, facts)
    if row.error:
        return Verdict(row.name, (f"ends well instead of with {row.error}",), facts)
    return Verdict(row.name, tuple(troubles(result, row.expected(source))), facts)


def run(row: Row, source: Path, work_dir: Path) -> JobResult:
    work_dir.mkdir()
    profile = ProfileSettings.model_validate({"preset": "ultrafast", "crf": 12} | row.profile)
    spec = JobSpec("job", source, source.name, work_dir, profile=profile, segments=SegmentSettings(seconds=1))
    return run_job(spec, on_progress=lambda _: None, should_stop=lambda: False)
