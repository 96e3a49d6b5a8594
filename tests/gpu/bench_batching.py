"""Compares a detector for each job with one whose batches all jobs share: ``python3 -m tests.gpu.bench_batching``.

Every job is a thread with a stream of its own that does what analysis does with the pictures that are due: makes the
detector's input on the card, runs it, and reads the candidates back. Prints a Markdown table.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from engines.cuda.preprocess import CudaPreprocessor
from engines.cuda.stream import JobStream
from engines.frames import Frame
from engines.inference.cuda import CudaOnnxRuntimeEngine
from engines.inference.joint import DeviceJoint
from engines.models import yunet
from pipeline.batcher import JointDetector, MicroBatcher

SECONDS = 1.5
SIZES = {"720p": (1280, 720, 640, 384), "1080p": (1920, 1080, 640, 384), "4K": (3840, 2160, 1280, 736)}
MIXES = [("1080p",), ("1080p",) * 4, ("1080p",) * 7, ("720p",) * 6 + ("4K",)]
PICTURES = 4  # due in a decoder's batch of eight, every second one


class Job:
    """One stream's analysis."""

    def __init__(self, size: str, detector: Callable[[JobStream], Any]) -> None:
        width, height, self._columns, self._rows = SIZES[size]
        self.size = size
        self._stream = JobStream(0)
        memory = np.random.default_rng(1).integers(16, 235, (height * 3 // 2, width), np.uint8)
        planes = self._stream.upload(memory)
        chroma = planes[height:].reshape(height // 2, width // 2, 2)
        self._frames = [Frame(planes[:height], chroma, n, 1) for n in range(PICTURES)]
        self._preprocessor = CudaPreprocessor(self._stream, width / height)
        self._detector = detector(self._stream)
        self.waits_s: list[float] = []
        for _ in range(4):  # kernels are chosen, memory is taken, graphs are recorded
            self.step()

    def step(self) -> None:
        begin = time.perf_counter()
        tensor = self._preprocessor.detector_input(self._frames, self._columns, self._rows)
        self._preprocessor.candidates(self._detector.run(tensor), 0.6)
        self.waits_s.append(time.perf_counter() - begin)

    def run(self, until: float) -> None:
        self.waits_s.clear()
        while time.perf_counter() < until:
            self.step()

    def close(self) -> None:
        self._detector.close()


def measure(mix: tuple[str, ...], detector: Callable[[JobStream], Any]) -> dict[str, Any]:
    jobs = [Job(size, detector) for size in mix]
    until = time.perf_counter() + SECONDS
    threads = [threading.Thread(target=job.run, args=(until,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for job in jobs:
        job.close()
    small = [wait for job in jobs if job.size == mix[0] for wait in job.waits_s]
    return {
        "pictures_per_s": sum(len(job.waits_s) for job in jobs) * PICTURES / SECONDS,
        "small_per_s": min(len(job.waits_s) for job in jobs if job.size == mix[0]) * PICTURES / SECONDS,
        "p50_ms": 1000 * statistics.median(small),
        "p99_ms": 1000 * statistics.quantiles(small, n=100)[98],
    }


def separate(mix: tuple[str, ...], graphs: bool = False) -> dict[str, Any]:
    def detector(stream: JobStream) -> CudaOnnxRuntimeEngine:
        return CudaOnnxRuntimeEngine(yunet.load(), stream=stream.handle, graphs=graphs, fixed_outputs=True)

    return measure(mix, detector)


def together(mix: tuple[str, ...], max_batch: int, wait_ms: float = 6.0) -> dict[str, Any]:
    joint = DeviceJoint(lambda stream: CudaOnnxRuntimeEngine(yunet.load(), stream=stream))
    warm_up(joint, mix, max_batch)
    batcher = MicroBatcher(joint.run_together, max_batch=max_batch, max_wait_s=wait_ms / 1000)
    try:
        found = measure(mix, lambda stream: JointDetector(batcher, joint.port(stream.handle)))
    finally:
        batcher.close()
        joint.close()
    return found | {"pictures_per_batch": batcher.pictures / max(1, batcher.batches)}


def warm_up(joint: DeviceJoint, mix: tuple[str, ...], max_batch: int) -> None:
    """Every length of a batch once, for every size: the first takes a second."""
    stream = JobStream(0)
    port = joint.port(stream.handle)
    for size in set(mix):
        _, _, columns, rows = SIZES[size]
        for length in (n for n in (4, 8, 16, 32) if n <= max(PICTURES, max_batch)):
            joint.run_together([port.offer(stream.zeros((length, 3, rows, columns), np.float32))])
    stream.synchronize()


def main() -> None:
    print_row("jobs", "detector", "pictures/s", "slowest small job", "p50", "p99", "pictures per batch")
    print_row(*["---"] * 7)
    for mix in MIXES:
        title = " + ".join(f"{mix.count(size)} x {size}" for size in dict.fromkeys(mix))
        for name, found in ways(mix):
            print_row(
                title,
                name,
                f"{found['pictures_per_s']:.0f}",
                f"{found['small_per_s']:.0f}",
                f"{found['p50_ms']:.1f} ms",
                f"{found['p99_ms']:.1f} ms",
                f"{found.get('pictures_per_batch', PICTURES):.1f}",
            )


def ways(mix: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "separate", separate(mix)
    if len(mix) == 1:  # ONNX Runtime records graphs for each thread, while no other thread may use the card
        yield "separate, CUDA graphs", separate(mix, graphs=True)
    for batch in (8, 16, 32):
        yield f"joint, at most {batch}", together(mix, batch)


def print_row(*cells: str) -> None:
    sys.stdout.write(f"| {' | '.join(cells)} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
