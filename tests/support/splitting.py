"""Runs of one recording without and with part workers, and what they deliver."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, count
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from engines.settings import DeviceSettings
from pipeline.job import JobSpec, Progress
from pipeline.runner import run_job
from pipeline.settings import ProfileSettings, SegmentSettings
from tests.support.recordings import packets
from tests.support.thread_crew import ThreadCrew

FPS = 8
QUICK = ProfileSettings(preset="ultrafast")
OPEN_GOP = {"bf": "3", "g": "10", "x264-params": "open-gop=1:scenecut=0"}


@dataclass
class Done:
    """A finished job, and how it came about.

    Attributes:
        crews: in the order in which they were gathered.
        log: of progress.
    """

    video: list[tuple[int, int, bytes]]
    audio: list[tuple[int, int, bytes]]
    rows: list[dict[str, Any]]
    preview: bytes
    report: dict[str, Any]
    crews: list[ThreadCrew]
    log: list[Progress]

    def note(self) -> str:
        """Return the report's note on work without parts."""
        return " ".join(note for note in self.report["backends"]["notes"] if "in parts" in note)


def job(source: Path, work_dir: Path, *, segment_s: float = 1, **fields: Any) -> JobSpec:
    """Return the order for a recording; its work directory is made if need be."""
    work_dir.mkdir(exist_ok=True)
    made = JobSpec(
        "job", source, source.name, work_dir, profile=QUICK, device=DeviceSettings(backend="cpu"),
        segments=SegmentSettings(seconds=segment_s),
    )  # fmt: skip
    return replace(made, **fields)


def run(
    spec: JobSpec,
    workers: int = 0,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    crew: Callable[[], ThreadCrew] | None = None,
) -> Done:
    """Do a job, with part workers if there are any."""
    new_crew = crew or (lambda: ThreadCrew(spec, workers))
    crews: list[ThreadCrew] = []
    log: list[Progress] = []

    def gather(_seconds: float) -> ThreadCrew:
        crews.append(new_crew())
        return crews[-1]

    result = run_job(
        spec, on_progress=log.append, should_stop=should_stop, gather_crew=gather if workers or crew else None
    )
    files = result.files
    with av.open(str(files.video)) as out:
        audio = packets(files.video, "audio") if out.streams.audio else []
    rows = [json.loads(line) for line in gzip.decompress(files.tracks.read_bytes()).splitlines()]
    report = json.loads(files.report.read_bytes())
    assert not spec.paths.parts.exists()
    return Done(packets(files.video), audio, rows, files.preview.read_bytes(), report, crews, log)


def assert_same(a: Done, b: Done) -> None:
    """Assert that two jobs deliver the same."""
    assert a.rows == b.rows
    assert a.video == b.video
    assert a.audio == b.audio
    assert a.preview == b.preview
    assert a.report["identity"] == b.report["identity"]
    assert a.report["output"] | {"path": ""} == b.report["output"] | {"path": ""}


def compare(source: Path, folder: Path, workers: int = 2, **fields: Any) -> Done:
    """Do a job without and with part workers, assert that both deliver the same, and return the latter."""
    whole = run(job(source, folder / "whole", **fields))
    split = run(job(source, folder / f"{workers} workers", **fields), workers)
    assert_same(split, whole)
    shutil.rmtree(folder / "whole")
    return split


def write_film(
    path: Path,
    images: Iterable[NDArray[np.uint8]],
    *,
    fps: int = FPS,
    pts: Iterable[int] | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write BGR images as H.264.

    Args:
        pts: in milliseconds; None: evenly spaced.
    """
    films = iter(images)
    first = next(films)
    times = count() if pts is None else iter(pts)
    time_base = Fraction(1, fps) if pts is None else Fraction(1, 1000)
    with av.open(str(path), "w", options=container_options or {}) as out:
        stream = out.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "crf": "20", **(options or {})})
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt, stream.codec_context.time_base = "yuv420p", time_base
        for image, at in zip(chain([first], films), times, strict=False):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = at, time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def without_cues(path: Path) -> Path:
    """Take the index out of a Matroska file, as a recorder leaves it that is switched off."""
    data = bytearray(path.read_bytes())
    at = data.rindex(b"\x1c\x53\xbb\x6b")
    length = 8 - data[at + 4].bit_length() + 1  # of the element's size
    size = int.from_bytes(data[at + 4 : at + 4 + length], "big") & ((1 << 7 * length) - 1)
    rest = 4 + length + size - 9
    data[at : at + 9] = b"\xec" + (1 << 56 | rest).to_bytes(8, "big")  # an element that readers skip
    path.write_bytes(data)
    return path
