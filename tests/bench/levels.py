"""What each level of degradation takes: ``python -m tests.bench.levels [FILE] --backend cpu|cuda``.

Renders a recording in a process of its own for each level, and prints a row for each: frames that were worked on,
the most memory of the host and of the GPU that was held, and what is left of both once the device is released, as in
a pause. Without a file it makes one of two people, 1080p.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from engines.media.probe import probe
from engines.registry import open_backend, release_memory
from engines.settings import DeviceSettings
from pipeline.allocator import configure_allocator, trim_heap
from pipeline.degradation.controller import Degradation
from pipeline.degradation.level_ladder import Level
from pipeline.job import JobSpec
from pipeline.render_stream import render_stream
from pipeline.rendering.frame_rate import output_rate
from pipeline.rendering.stream import StreamJob
from pipeline.segments.checkpoint import Checkpoint
from pipeline.telemetry.timing import JobTelemetry
from tests.support.recordings import write_recording

_LEVELS = (Level.NORMAL, Level.DOWNSCALE, Level.FRAME_SKIP)
_SAMPLE_S = 0.01
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Measured:
    """One run. Memory in bytes: of the process, and of the GPU in blocks of CuPy's pool."""

    level: str
    frames: int
    wall_s: float
    host_peak: int
    gpu_peak: int
    host_released: int
    gpu_released: int

    def row(self) -> str:
        memory = [self.host_peak, self.gpu_peak, self.host_released, self.gpu_released]
        cells = [self.level, str(self.frames), f"{self.wall_s:.1f} s", *(f"{b / _MIB:.0f} MiB" for b in memory)]
        return f"| {' | '.join(cells)} |"


def main() -> None:
    arguments = _arguments()
    if arguments.level:
        _say(json.dumps(asdict(measure(arguments.file, Level(arguments.level), arguments.backend))))
        return
    with tempfile.TemporaryDirectory() as folder:
        source = arguments.file or write_recording(Path(folder) / "people.mp4", seconds=8, size=(1920, 1080))
        _say("| level | frames | wall | host, peak | GPU, peak | host, released | GPU, released |")
        _say("|---|---|---|---|---|---|---|")
        for level in _LEVELS:
            command = [sys.executable, "-m", "tests.bench.levels", source, "--backend", arguments.backend]
            done = subprocess.run([*command, "--level", level], stdout=subprocess.PIPE, check=True)
            _say(Measured(**json.loads(done.stdout.splitlines()[-1])).row())


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.levels", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--backend", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--level", choices=list(_LEVELS), help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(source: Path, level: Level, backend: str) -> Measured:
    """Render a file at one level, in this process."""
    configure_allocator()
    info, begin = probe(source), time.monotonic()
    with tempfile.TemporaryDirectory() as folder, _peaks() as peaks:
        checkpoint = Checkpoint("", breaker=_held_at(level))
        spec = JobSpec("bench", source, source.name, Path(folder))
        degradation = Degradation(spec.degradation, spec.work_dir, checkpoint, info.video.time_base)
        rate = output_rate(info, spec.profile)
        with closing(open_backend(DeviceSettings(backend=backend))) as opened:
            render_stream(StreamJob(spec, rate, opened, checkpoint, JobTelemetry(), degradation))
    wall_s = time.monotonic() - begin
    release_memory()
    trim_heap()
    return Measured(level, checkpoint.frames, wall_s, *peaks, _host_bytes(), _gpu_bytes())


def _held_at(level: Level) -> dict[str, object]:
    """A breaker's state at a level that no clean segment ends."""
    return {"level": level, "failures": 1, "clean": 0, "wait_s": 1e9, "fruitless_pauses": 0, "trip": None}


@contextmanager
def _peaks() -> Iterator[list[int]]:
    """The most memory that host and GPU hold meanwhile."""
    peaks, ended = [0, 0], threading.Event()

    def watch(read: tuple[Callable[[], int], ...] = (_host_bytes, _gpu_bytes)) -> None:
        while not ended.wait(_SAMPLE_S):
            peaks[:] = [max(peak, now()) for peak, now in zip(peaks, read, strict=True)]

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peaks
    finally:
        ended.set()
        thread.join()


def _host_bytes() -> int:
    return int(psutil.Process().memory_info().rss)


def _gpu_bytes() -> int:
    pool = getattr(sys.modules.get("cupy"), "get_default_memory_pool", None)  # None too while it is imported
    return int(pool().total_bytes()) if pool else 0


if __name__ == "__main__":
    main()
