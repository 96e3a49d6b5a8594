"""Compares a detector for each job with one whose batches all jobs share: ``python3 -m tests.gpu.bench_batching``.

Every job has a stream of its own and does what analysis does with the frames that are due: makes the detector's
input on the GPU, runs it, and reads the candidates back. Jobs are threads of one process, as joint batches need
it; one row shows separate detectors in a process for each job, as the service runs them. Streams, models and every
length of a batch are ready before anything counts, and the ways take turns. Prints a Markdown table.
"""

from __future__ import annotations

import functools
import multiprocessing
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engines.cuda.preprocess import CudaPreprocessor
from engines.cuda.stream import JobStream
from engines.frames import Frame
from engines.inference.cuda import CudaOnnxRuntimeEngine
from engines.inference.device import BATCH
from engines.models import yunet
from tests.support.joint_batches import JointDetector, MicroBatcher
from tests.support.shared_engine import SharedEngine

ROUNDS, ROUND_S = 3, 0.4
SIZES = {"720p": (1280, 720, 640, 384), "1080p": (1920, 1080, 640, 384), "4K": (3840, 2160, 1280, 736)}
MIXES = [("1080p",), ("1080p",) * 4, ("1080p",) * 7, ("720p",) * 6 + ("4K",)]
FRAMES = 4  # due in a decoder's batch of eight, every second one
MAX_WAIT_S = 0.006


class Job:
    """One stream's analysis, with a detector of its own for when it works alone."""

    def __init__(self, size: str, *, graphs: bool = False) -> None:
        width, height, self.columns, self.rows = SIZES[size]
        self.size = size
        self.stream = JobStream(0)
        memory = np.random.default_rng(1).integers(16, 235, (height * 3 // 2, width), np.uint8)
        planes = self.stream.upload(memory)
        chroma = planes[height:].reshape(height // 2, width // 2, 2)
        self._frames = [Frame(planes[:height], chroma, n, 1) for n in range(FRAMES)]
        self._preprocessor = CudaPreprocessor(self.stream, width / height)
        self.own = CudaOnnxRuntimeEngine(
            yunet.load(), stream=self.stream.handle, graphs=graphs, fixed_outputs=not graphs
        )
        self.step(self.own, times=4)

    def step(self, detector: Any, times: int = 1) -> None:
        for _ in range(times):
            tensor = self._preprocessor.detector_input(self._frames, self.columns, self.rows)
            self._preprocessor.candidates(detector.run(tensor), 0.6)

    def run(self, detector: Any, start: Callable[[], Any]) -> list[float]:
        """Seconds of each step from the common start on; ONNX Runtime gets to know the thread before."""
        self.step(detector, times=4)
        start()
        waits: list[float] = []
        begin = time.perf_counter()
        until = begin + ROUND_S
        while begin < until:
            self.step(detector)
            begin, before = time.perf_counter(), begin
            waits.append(begin - before)
        return waits


@dataclass
class Way:
    """One way to detect, and what it took so far: seconds of every step of every job.

    ``open`` gives the detectors of some jobs, in a context.
    """

    name: str
    open: Callable[[Sequence[Job]], Any]
    jobs: Sequence[Job]
    waits: list[list[float]] = field(default_factory=list)
    batch: float = FRAMES

    def measure(self) -> None:
        with self.open(self.jobs) as detectors:
            found = in_threads([functools.partial(j.run, d) for j, d in zip(self.jobs, detectors, strict=True)])
        self.batch = getattr(detectors, "batch", FRAMES)
        self.waits = [[*before, *now] for before, now in zip(self.waits or [[]] * len(found), found, strict=True)]


def in_threads(runs: Sequence[Callable[[Callable[[], Any]], list[float]]]) -> list[list[float]]:
    with ThreadPoolExecutor(len(runs)) as threads:
        barrier = threading.Barrier(len(runs))
        done = [threads.submit(run, lambda: barrier.wait(60)) for run in runs]
        return [each.result() for each in done]


@contextmanager
def separate(jobs: Sequence[Job]) -> Iterator[list[Any]]:
    yield [job.own for job in jobs]


class Joint:
    """One detector for all, on a stream of its own, ready for every size of an input."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._shared = SharedEngine(lambda stream: CudaOnnxRuntimeEngine(yunet.load(), stream=stream))
        for columns, rows in {(job.columns, job.rows): job for job in jobs}:
            port = self._shared.port(jobs[0].stream.handle)
            self._shared.run_together([port.offer(jobs[0].stream.zeros((BATCH, 3, rows, columns), np.float32))])
        jobs[0].stream.synchronize()

    @contextmanager
    def open(self, jobs: Sequence[Job], *, max_batch: int) -> Iterator[Any]:
        batcher = MicroBatcher(self._shared.run_together, max_batch=max_batch, max_wait_s=MAX_WAIT_S)
        detectors = Detectors(JointDetector(batcher, self._shared.port(job.stream.handle)) for job in jobs)
        try:
            yield detectors
            detectors.batch = batcher.frames / max(1, batcher.batches)
        finally:
            batcher.close()


class Detectors(list[Any]):
    """Detectors of some jobs; ``batch`` is the mean number of frames in their batches."""

    batch: float = FRAMES


class Processes:
    """The jobs again, each in a process of its own that waits for the word."""

    name = "separate, a process each"
    batch = FRAMES

    def __init__(self, mix: Sequence[str]) -> None:
        context = multiprocessing.get_context("spawn")
        self._start, self._answers = context.Barrier(len(mix) + 1), context.Queue()
        self._processes = [
            context.Process(target=_in_process, args=(size, n, self._start, self._answers), daemon=True)
            for n, size in enumerate(mix)
        ]
        for process in self._processes:
            process.start()
        self.waits: list[list[float]] = [[] for _ in mix]

    def measure(self) -> None:
        self._start.wait(120)
        for _ in self.waits:
            n, waits = self._answers.get(timeout=60)
            self.waits[n] += waits


def _in_process(size: str, number: int, start: Any, answers: Any) -> None:
    job = Job(size)
    for _ in range(ROUNDS):
        answers.put((number, job.run(job.own, lambda: start.wait(120))))


def main() -> None:
    begin = time.perf_counter()
    jobs = [Job(size) for size in ("1080p",) * 7 + ("720p",) * 6 + ("4K",)]
    joint, recorded = Joint(jobs), Job("1080p", graphs=True)
    sys.stderr.write(f"ready after {time.perf_counter() - begin:.1f} s\n")
    print_row("jobs", "detector", "frames/s", "slowest small job", "p50", "p99", "frames per batch")
    print_row(*["---"] * 7)
    for mix in MIXES:
        ways: list[Any] = [Way("separate", separate, taken(jobs, mix))]
        if len(mix) == 1:  # ONNX Runtime records graphs for each thread, while no other thread may use the GPU
            ways.append(Way("separate, CUDA graphs", separate, [recorded]))
        ways.append(Way(f"joint, at most {BATCH}", functools.partial(joint.open, max_batch=BATCH), taken(jobs, mix)))
        ways.append(Processes(mix))
        for _ in range(ROUNDS):
            for way in ways:
                way.measure()
        for way in ways:
            show(mix, way)
    sys.stderr.write(f"done after {time.perf_counter() - begin:.1f} s\n")


def taken(jobs: Sequence[Job], mix: Sequence[str]) -> list[Job]:
    """Jobs of these sizes."""
    left = list(jobs)
    return [left.pop(next(n for n, job in enumerate(left) if job.size == size)) for size in mix]


def show(mix: Sequence[str], way: Any) -> None:
    measured_s = ROUNDS * ROUND_S
    small = [waits for waits, size in zip(way.waits, mix, strict=True) if size == mix[0]]
    steps = [1000 * wait for waits in small for wait in waits]
    print_row(
        " + ".join(f"{list(mix).count(size)} x {size}" for size in dict.fromkeys(mix)),
        way.name,
        f"{sum(map(len, way.waits)) * FRAMES / measured_s:.0f}",
        f"{min(map(len, small)) * FRAMES / measured_s:.0f}",
        f"{statistics.median(steps):.1f} ms",
        f"{statistics.quantiles(steps, n=100)[98]:.1f} ms",
        f"{way.batch:.1f}",
    )


def print_row(*cells: str) -> None:
    sys.stdout.write(f"| {' | '.join(cells)} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
