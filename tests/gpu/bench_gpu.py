"""Measures the pipeline on a GPU against the GPU's bare decoder, and with x264 against x264 alone.

    python3 -m tests.gpu.bench_gpu [--frames 1800] [--jobs 1 7] [--processes 1 7] [--json FILE]

Everything that is compared runs in the same minutes on the same file, with the same number of decoders. A run counts
from the moment when every job has its first frames, and so has opened decoder, models and kernels, to the end of the
last one. The first frames do not count.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import math
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from engines.cpu.encode import X264Encoder
from engines.frames import ColorTags, EncodedPacket, Frame
from engines.media.probe import probe
from engines.models import yunet
from engines.registry import open_backend
from engines.settings import DeviceSettings
from pipeline.degradation.controller import Degradation
from pipeline.job import JobSpec
from pipeline.render_stream import render_stream
from pipeline.rendering.frame_rate import output_rate
from pipeline.rendering.stream import StreamJob
from pipeline.segments.checkpoint import Checkpoint
from pipeline.settings import DetectSettings, ProfileSettings, SegmentSettings
from pipeline.telemetry.timing import JobTelemetry
from tests.support.recordings import Path2D, image

FPS, SIZE = 30, (1920, 1080)
LOOP_S = 4
PROFILE = ProfileSettings(detect=DetectSettings(rate_hz=FPS / 2, calm_rate_hz=FPS / 2))  # every second frame
ENCODER_THREADS = min(16, (os.cpu_count() or 1) * 3 // 2)  # as jobs choose it
Work = Callable[["Start"], dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=1800)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 7])
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 7])
    parser.add_argument("--x264-frames", type=int, default=1200)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clip = write_clip(Path(folder) / "bench.mp4", options.frames)
        rows = list(against_nvdec(clip, options.jobs, options.processes))
        short = write_clip(Path(folder) / "short.mp4", options.x264_frames)
        for parts in options.processes:
            rows += against_x264(short, 4, min(parts, 4))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


def against_nvdec(clip: Path, jobs: list[int], processes: list[int]) -> Iterator[dict[str, Any]]:
    for count in jobs:
        for parts in processes:
            if parts > count:
                continue
            raw = run(functools.partial(bare_decoder, clip), count, parts)
            whole = run(functools.partial(without_encoder, clip), count, parts)
            yield reported("decode, detect, track, compose", count, parts, raw, whole)


def against_x264(clip: Path, jobs: int, processes: int) -> list[dict[str, Any]]:
    alone = run(functools.partial(x264_alone, clip), jobs, processes)
    whole = run(functools.partial(with_x264, clip), jobs, processes)
    return [reported("whole job with x264", jobs, processes, alone, whole)]


def reported(what: str, jobs: int, processes: int, limit: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    row = {"what": what, "jobs": jobs, "processes": processes, "limit": limit, "found": found}
    row["share"] = round(found["fps"] / limit["fps"], 3)
    line = f"{what}: {jobs} jobs in {processes} processes: {found['fps']} of {limit['fps']} fps = {row['share']:.1%}"
    sys.stdout.write(f"{line} { ({k: v for k, v in found.items() if k != 'fps'}) }\n")
    sys.stdout.flush()
    return row


# One process per part, one thread per job.


class Start:
    """Where all jobs of all processes wait for each other."""

    def __init__(self, barrier: Any) -> None:
        self._barrier = barrier

    def wait(self) -> float:
        self._barrier.wait(300)
        return time.monotonic()


def run(work: Work, jobs: int, processes: int) -> dict[str, Any]:
    """Frames per second of all jobs together, and the means of what else they measure."""
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(jobs), context.Queue()
    shares = [len(range(n, jobs, processes)) for n in range(processes)]
    workers = [context.Process(target=in_process, args=(work, share, barrier, answers)) for share in shares]
    for worker in workers:
        worker.start()
    found = [answers.get(timeout=600) for _ in range(jobs)]
    for worker in workers:
        worker.join()
    failures = [answer["error"] for answer in found if "error" in answer]
    if failures:
        raise RuntimeError(failures[0])
    wall_s = max(a["end"] for a in found) - min(a["begin"] for a in found)
    means = {"fps": round(sum(a["frames"] for a in found) / wall_s, 1)}
    for key in found[0].keys() - {"begin", "end", "frames"}:
        means[key] = round(sum(a[key] for a in found) / jobs, 3)
    return means


def in_process(work: Work, jobs: int, barrier: Any, answers: Any) -> None:
    threads = [threading.Thread(target=answered, args=(work, Start(barrier), answers)) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def answered(work: Work, start: Start, answers: Any) -> None:
    try:
        answers.put(work(start))
    except BaseException as error:
        answers.put({"error": repr(error)})
        raise


# What is measured.


def bare_decoder(clip: Path, start: Start) -> dict[str, Any]:
    """PyNvVideoCodec's demuxer and core decoder, frames in device memory, left there."""
    library = importlib.import_module("PyNvVideoCodec")
    demuxer = library.CreateDemuxer(str(clip))
    decoder = library.CreateDecoder(gpuid=0, codec=demuxer.GetNvCodecId(), usedevicememory=True)
    frames, begin = 0, 0.0
    for packet in demuxer:
        frames += len(decoder.Decode(packet))
        if frames and not begin:
            begin, frames = start.wait(), 0
    return {"begin": begin, "end": time.monotonic(), "frames": frames}


def without_encoder(clip: Path, start: Start) -> dict[str, Any]:
    return whole_job(clip, start, encode=False)


def with_x264(clip: Path, start: Start) -> dict[str, Any]:
    return whole_job(clip, start, encode=True)


def whole_job(clip: Path, start: Start, *, encode: bool) -> dict[str, Any]:
    """The pipeline as a job runs it, from decoder to segment files, with or without its encoder."""
    warm_up(clip, encode=encode)
    info, clock = probe(clip), JobTelemetry()
    with tempfile.TemporaryDirectory() as folder:
        backend = _Started(
            open_backend(DeviceSettings(backend="cuda")), start, make_encoder=None if encode else _NoEncoder
        )
        job = stream_job(clip, Path(folder), info, backend, clock)
        begin_cpu = time.thread_time()
        outcome = render_stream(job)
        end = time.monotonic()
        backend.close()
    frames = job.checkpoint.frames - backend.first_frames
    stages = {f"{name}_ms": 1000 * timer.total_s / frames for name, timer in clock.timers.items()}
    return {
        "begin": backend.begin, "end": end, "frames": frames, "to_host_bytes": outcome.bytes_to_host_per_frame,
        "used_mib": used_mib(), "encode_thread_cpu_ms": 1000 * (time.thread_time() - begin_cpu) / frames,
        "process_cpu_s": time.process_time(), **stages,
    }  # fmt: skip


_warmed = threading.Lock()
_is_warm: list[bool] = []


def warm_up(clip: Path, *, encode: bool) -> None:
    """Once per process: kernels and models are loaded, and cuDNN has chosen its algorithms."""
    with _warmed:
        if _is_warm:
            return
        _is_warm.append(True)
        with tempfile.TemporaryDirectory() as folder:
            brief = Path(folder) / "brief.mp4"
            cut(clip, brief, 90)
            backend = _Started(
                open_backend(DeviceSettings(backend="cuda")), None, make_encoder=None if encode else _NoEncoder
            )
            render_stream(stream_job(brief, Path(folder), probe(brief), backend, JobTelemetry()))
            backend.close()


def encoder_or_none(encode: bool) -> Callable[[Any], Any] | None:
    return None if encode else _NoEncoder


def stream_job(clip: Path, folder: Path, info: Any, backend: Any, clock: JobTelemetry) -> StreamJob:
    profile = PROFILE.model_copy(update={"threads": ENCODER_THREADS})
    spec = JobSpec("bench", clip, clip.name, folder, profile=profile, segments=SegmentSettings(seconds=10))
    checkpoint = Checkpoint(fingerprint="")
    degradation = Degradation(spec.degradation, folder, checkpoint, info.video.time_base)
    rate = output_rate(info, profile)
    return StreamJob(spec, rate, backend, checkpoint, clock, degradation)


class _Started:
    """A backend whose job waits for the others once it has its first frames, and may do without an encoder.

    Attributes:
        begin: when all were ready.
        first_frames: number of frames that each had by then.
    """

    def __init__(self, backend: Any, start: Start | None, *, make_encoder: Callable[[Any], Any] | None = None) -> None:
        self._backend = backend
        self._start = start
        self._make_encoder = make_encoder
        self.begin, self.first_frames = 0.0, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def detector(self) -> Any:
        """Run once: a new session looks for its algorithms with the first input of a size."""
        engine = self._backend.detector()
        with self._backend.stream.current():
            size = yunet.input_size(SIZE[0] / SIZE[1], PROFILE.detect.long_side)
            engine.run(self._backend.stream.zeros((self._backend.batch_frames // 2, 3, *size[::-1]), np.float32))
        self._backend.stream.synchronize()
        return engine

    def decoder(self, *args: Any, **options: Any) -> Any:
        return _Waiting(self._backend.decoder(*args, **options), self._wait)

    def _wait(self, frames: int) -> None:
        if self._start is not None and not self.begin:
            self.begin, self.first_frames = self._start.wait(), frames

    def encoder(self, *args: Any, **options: Any) -> Any:
        if self._make_encoder is not None:
            return self._make_encoder(self._backend.stream)
        return self._backend.encoder(*args, **options)


class _Waiting:
    """A decoder that calls ``on_first`` with the number of its first frames."""

    def __init__(self, decoder: Any, on_first: Callable[[int], None]) -> None:
        self._decoder = decoder
        self._on_first = on_first

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decoder, name)

    def batches(self, *args: Any, **options: Any) -> Iterator[Any]:
        taken = self._decoder.batches(*args, **options)
        first = next(taken)
        self._on_first(len(first))
        yield first
        yield from taken


class _NoEncoder:
    """Takes frames and lets them go; the last one of a segment is waited for."""

    name, extradata = "none", b""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def encode(self, frame: Frame) -> list[EncodedPacket]:
        return [EncodedPacket(b"\0", frame.pts, True)]

    def flush(self) -> list[EncodedPacket]:
        self._stream.synchronize()
        return []


def x264_alone(clip: Path, start: Start) -> dict[str, Any]:
    """x264 as jobs use it, on the very frames that a job hands it, which already lie in host memory."""
    frames = composed(clip)
    profile = PROFILE.model_copy(update={"threads": ENCODER_THREADS})
    encoder = X264Encoder(1920, 1080, time_base=Fraction(1, FPS), fps=Fraction(FPS), color=ColorTags(),
                          settings=profile, threads=profile.threads)  # fmt: skip
    begin = start.wait()
    for n, shown in enumerate(frames):
        encoder.encode(Frame(shown.y, shown.uv, n, 1))
    encoder.flush()
    return {"begin": begin, "end": time.monotonic(), "frames": len(frames)}


_frames: list[Frame] = []


def composed(clip: Path) -> list[Frame]:
    """What a job composes of the clip, made once per process."""
    with _warmed, tempfile.TemporaryDirectory() as folder:
        if not _frames:
            backend = _Started(open_backend(DeviceSettings(backend="cuda")), None, make_encoder=_Collector)
            render_stream(stream_job(clip, Path(folder), probe(clip), backend, JobTelemetry()))
            backend.close()
    return _frames


class _Collector:
    """Takes the place of an encoder, and keeps what it is given."""

    name, extradata = "none", b""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def encode(self, frame: Frame) -> list[EncodedPacket]:
        _frames.append(Frame(self._stream.to_host(frame.y).copy(), self._stream.to_host(frame.uv).copy(), 0, 1))
        return [EncodedPacket(b"\0", frame.pts, True)]

    def flush(self) -> list[EncodedPacket]:
        return []


def used_mib() -> float:
    free, total = importlib.import_module("cupy").cuda.runtime.memGetInfo()
    return (total - free) / 2**20


# The clip: two people who move on closed paths, so that its loop has no cut.


def swaying(x: float, phase: float) -> Path2D:
    turn = 2 * math.pi / LOOP_S
    return lambda t: (x + 0.03 * math.sin(turn * t + phase), 0.5 + 0.015 * math.sin(2 * turn * t + phase))


def write_clip(path: Path, frames: int) -> Path:
    """H.264 with B-frames, a keyframe every two seconds, about 6 Mbit/s: one loop, repeated without encoding again."""
    loop = path.with_name("loop.mp4")
    if not loop.exists():
        write_loop(loop)
    with av.open(str(loop)) as source, av.open(str(path), "w") as out:
        video = source.streams.video[0]
        packets = [(p.pts, p.dts, bytes(p), p.is_keyframe, p.duration) for p in source.demux(video) if p.size]
        stream = out.add_stream_from_template(video)
        step = packets[0][4]
        for repeat in range(-(-frames // len(packets))):
            shift = repeat * len(packets) * step
            for pts, dts, data, is_keyframe, duration in packets:
                packet = av.Packet(data)
                packet.pts, packet.dts, packet.duration = pts + shift, dts + shift, duration
                packet.time_base, packet.is_keyframe, packet.stream = video.time_base, is_keyframe, stream
                out.mux(packet)
    return path


def write_loop(path: Path) -> None:
    width, height = SIZE
    people = swaying(0.28, 0.0), swaying(0.72, 1.5)
    with av.open(str(path), "w") as out:
        options = {"preset": "veryfast", "crf": "21", "bf": "2", "g": str(2 * FPS)}
        video = out.add_stream("libx264", rate=FPS, options=options)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        grain = np.random.default_rng(0).integers(0, 9, (height, width, 1), np.uint8)
        for n in range(LOOP_S * FPS):
            shown = image(n / FPS, people, width, height) + np.roll(grain, (37 * n, 91 * n), (0, 1))
            frame = av.VideoFrame.from_ndarray(shown, format="bgr24")
            frame.pts, frame.time_base = n, Fraction(1, FPS)
            out.mux(video.encode(frame))
        out.mux(video.encode())


def cut(clip: Path, path: Path, frames: int) -> None:
    """The first frames of the clip, as a file."""
    with av.open(str(clip)) as source, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for n, packet in enumerate(source.demux(video=0)):
            if n < frames and packet.dts is not None:
                packet.stream = stream
                out.mux(packet)


if __name__ == "__main__":
    main()
