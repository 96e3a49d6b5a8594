"""Measures one recording that several workers share on one GPU, against the GPU's bare decoder and against one job.

    python3 -m tests.gpu.bench_split [--frames 36000] [--x264-frames 7200] [--workers 7] [--json FILE]

The time of a run counts from the first order to the last segment in the checkpoint; workers have started by then.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from engines.media.probe import probe
from engines.registry import open_backend
from engines.settings import DeviceSettings
from pipeline.render_stream import render_stream
from pipeline.rendering.stream import StreamJob
from pipeline.telemetry.timing import JobTelemetry
from tests.gpu import bench_gpu
from tests.gpu.bench_gpu import bare_decoder, reported, run, stream_job, warm_up, with_x264, write_clip
from tests.support.process_crew import ProcessCrew


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=36000)
    parser.add_argument("--x264-frames", type=int, default=7200)
    parser.add_argument("--workers", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [against_decoder(write_clip(folder / "long.mp4", options.frames), options.workers)]
        rows.append(against_one_job(write_clip(folder / "short.mp4", options.x264_frames), options.workers))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


def against_decoder(clip: Path, workers: int) -> dict[str, Any]:
    raw = run(functools.partial(bare_decoder, clip), 1, 1)
    return reported("one recording, no encoder, over one bare decoder", 1, workers, raw, split(clip, workers, False))


def against_one_job(clip: Path, workers: int) -> dict[str, Any]:
    alone = run(functools.partial(with_x264, clip), 1, 1)
    return reported("one recording with x264, over one job", 1, workers, alone, split(clip, workers, True))


def split(clip: Path, workers: int, encode: bool) -> dict[str, Any]:
    """Frames per second of one recording that several processes share, and what each stage took per frame."""
    clock = JobTelemetry()
    with tempfile.TemporaryDirectory() as name:
        job = conductor_job(clip, Path(name), clock, encode=encode)
        prepare = functools.partial(prepare_worker, clip, encode)
        crew = _Timed(ProcessCrew(job.spec, workers, prepare))
        render_stream(job, crew)
        end = time.monotonic()
        frames = job.checkpoint.frames
    stages = {f"{stage}_ms": round(1000 * timer.total_s / frames, 3) for stage, timer in clock.timers.items()}
    return {"fps": round(frames / (end - crew.begin), 1), "frames": frames, **stages}


def conductor_job(clip: Path, folder: Path, clock: JobTelemetry, *, encode: bool) -> StreamJob:
    warm_up(clip, encode=encode)
    backend = open_backend(DeviceSettings(backend="cuda"))
    return stream_job(clip, folder, probe(clip), backend, clock)


def prepare_worker(clip: Path, encode: bool) -> None:
    """Load kernels and models; without an encoder, let nothing be encoded."""
    warm_up(clip, encode=encode)
    if not encode:
        serving = importlib.import_module("pipeline.splitting.serve")
        serving.open_backend = lambda *_, **__: bench_gpu._Started(
            open_backend(DeviceSettings(backend="cuda")), None, make_encoder=bench_gpu._NoEncoder
        )


class _Timed:
    """A crew that notes when it is given its first order."""

    def __init__(self, crew: ProcessCrew) -> None:
        self._crew = crew
        self.begin = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._crew, name)

    def give(self, worker: str, order: Any) -> None:
        self.begin = self.begin or time.monotonic()
        self._crew.give(worker, order)


if __name__ == "__main__":
    main()
