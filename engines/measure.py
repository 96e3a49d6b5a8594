"""Measurements of this machine, printed as JSON: ``python -m engines.measure BACKEND INDEX``.

It is a separate program because it loads codecs, models and drivers, which the service never does. It measures the
parts that jobs use: decoders of the backend, its detector, and its encoder.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil

from engines.cuda.encoding.sessions import probe_sessions
from engines.cuda.gpu_selection import see_only
from engines.errors import DeviceUnavailableError
from engines.frames import ColorTags, Frame
from engines.inference.build import find_library
from engines.json_answer import answer
from engines.media.probe import probe
from engines.nvenc_sessions import SessionProbe
from engines.nvml import GPUDescription, describe_gpus
from engines.registry import Backend, open_backend
from engines.settings import DeviceSettings, EncoderSettings

CLIP_WIDTH, CLIP_HEIGHT, CLIP_FRAMES = 1920, 1080, 300
DETECTOR_WIDTH, DETECTOR_HEIGHT = 640, 384
BATCHES = (1, 8, 16, 32)
_ENOUGH_GAIN = 1.05  # more decoders must give this much more speed, or measuring ends
_LOOP, _STEP = 12, 8  # frames that the clip repeats, and pixels that they move by
_GRAIN = 1.2  # standard deviation of luma
_SCORE = 0.3
_MEASURED_S = 0.6
_OPENING_S, _DECODING_S = 90.0, 120.0  # the longest that decoders may take
_ENCODED_FRAMES = 120


@dataclass(slots=True)
class Measured:
    """Results. Speeds are frames of 1080p per second, the detector's of 640x384.

    ``decode_fps`` is by number of decoders side by side, ``detect_fps`` by batch.
    """

    cores: int
    memory_bytes: int
    device: str
    notes: list[str]
    gpus: list[GPUDescription] = field(default_factory=list)
    nvenc: SessionProbe | None = None
    tensorrt: str | None = None
    decoder: str = ""
    decode_fps: dict[int, float] = field(default_factory=dict)
    inference: str = ""
    detect_fps: dict[int, float] = field(default_factory=dict)
    encoder: str = ""
    encode_fps: float = 0.0


def measure(settings: DeviceSettings) -> Measured:
    """Measure the device that the settings name.

    Raises:
        EngineError: the device does not work.
    """
    cores = len(os.sched_getaffinity(0))
    library = find_library()
    with closing(open_backend(settings)) as backend, tempfile.TemporaryDirectory(prefix="dualface-probe-") as folder:
        clip = Path(folder) / "clip.mp4"
        make_clip(clip)
        found = Measured(cores, psutil.virtual_memory().total, backend.device, [], describe_gpus())
        found.tensorrt = f"{library.name} {library.version}" if library else None
        found.nvenc = probe_sessions(settings.gpu) if backend.device != "cpu" else None
        found.decoder, found.decode_fps = _decoders(clip, settings, most=2 * cores)
        frames = _frames(clip, backend)
        found.inference, found.detect_fps = _detector(clip, backend, frames)
        found.encoder, found.encode_fps = _encoder(backend, frames, cores)
        found.notes = list(backend.notes)
    return found


def make_clip(path: Path) -> None:
    """Write a moving image with grain, 1080p H.264: as hard to decode as a camera's, and quickly made."""
    noise = np.random.default_rng(1)
    ramp = np.add.outer(np.arange(CLIP_HEIGHT), np.arange(CLIP_WIDTH + _LOOP * _STEP)) / 12
    lumas = [
        ramp[:, _STEP * n :][:, :CLIP_WIDTH] + noise.normal(0, _GRAIN, (CLIP_HEIGHT, CLIP_WIDTH)) for n in range(_LOOP)
    ]
    frames = [av.VideoFrame.from_ndarray(np.clip(luma, 16, 235).astype(np.uint8), "gray") for luma in lumas]
    loop = [frame.reformat(format="yuv420p") for frame in frames]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = CLIP_WIDTH, CLIP_HEIGHT, "yuv420p"
        for n in range(CLIP_FRAMES):
            frame = loop[n % _LOOP]
            frame.pts = n
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _decoders(clip: Path, settings: DeviceSettings, most: int) -> tuple[str, dict[int, float]]:
    """Return frames per second by number of concurrent decoders, up to the number that gains nothing."""
    found: dict[int, float] = {}
    name, count = "", 1
    while count <= most:
        name, fps = _decode_together(clip, settings, count)
        better = not found or fps > _ENOUGH_GAIN * max(found.values())
        found[count] = round(fps, 1)
        if not better:
            break
        count *= 2
    return name, found


def _decode_together(clip: Path, settings: DeviceSettings, count: int) -> tuple[str, float]:
    """Return the decoder's name, and frames per second of ``count`` processes: jobs have one each."""
    spawn = multiprocessing.get_context("spawn")
    ready, answers = spawn.Barrier(count + 1), spawn.Queue()
    order = (clip, settings, ready, answers)
    for _ in range(count):
        spawn.Process(target=_decode, args=order, daemon=True).start()
    try:
        ready.wait(_OPENING_S)
    except threading.BrokenBarrierError as error:
        raise DeviceUnavailableError(f"{count} decoders side by side do not open: {_reason(answers)}") from error
    begin = time.perf_counter()
    found = [answers.get(timeout=_DECODING_S) for _ in range(count)]
    return found[0][0], sum(frames for _, frames in found) / (time.perf_counter() - begin)


def _decode(clip: Path, settings: DeviceSettings, ready: Any, answers: Any) -> None:
    """Do the work of one process: open a decoder, wait for the others, and count frames."""
    try:
        backend = open_backend(settings)
        decoder = backend.decoder(clip, probe(clip), max_surface_pixels=CLIP_WIDTH * CLIP_HEIGHT)
        batches = decoder.batches()
        next(batches)
    except Exception as error:
        answers.put(str(error))
        ready.abort()
        return
    ready.wait(_OPENING_S)
    answers.put((decoder.name, sum(len(batch) for batch in batches)))


def _reason(answers: Any) -> str:
    try:
        return str(answers.get(timeout=1))
    except queue.Empty:
        return f"they took longer than {_OPENING_S:.0f} s"


def _frames(clip: Path, backend: Backend) -> list[Frame]:
    """Return decoded frames in the backend's own memory."""
    with closing(backend.decoder(clip, probe(clip), max_surface_pixels=CLIP_WIDTH * CLIP_HEIGHT)) as decoder:
        return [frame for batch in islice(decoder.batches(), max(BATCHES) // 8) for frame in batch.frames]


def _detector(clip: Path, backend: Backend, frames: list[Frame]) -> tuple[str, dict[int, float]]:
    """Return the detector's name, and frames per second by batch, from decoded frames to candidates on the host."""
    preprocessor = backend.preprocessor(probe(clip))

    def detect(batch: int) -> None:
        tensor = preprocessor.detector_input(frames[:batch], DETECTOR_WIDTH, DETECTOR_HEIGHT)
        preprocessor.candidates(engine.run(tensor), _SCORE)

    with closing(backend.detector(threads=1)) as engine:
        return engine.name, {batch: round(_repeat(partial(detect, batch), batch), 1) for batch in BATCHES}


def _repeat(call: Callable[[], None], frames: int) -> float:
    """Return frames per second of a call that works on ``frames`` frames."""
    call()
    begin, calls = time.perf_counter(), 0
    while time.perf_counter() - begin < _MEASURED_S:
        call()
        calls += 1
    return calls * frames / (time.perf_counter() - begin)


def _encoder(backend: Backend, frames: list[Frame], cores: int) -> tuple[str, float]:
    """Return the encoder's name, and frames per second of one encoder with the default settings."""
    settings = EncoderSettings(threads=min(16, cores * 3 // 2))
    encoder = backend.encoder(
        CLIP_WIDTH, CLIP_HEIGHT, time_base=Fraction(1, 30), fps=Fraction(30), color=ColorTags(), settings=settings
    )
    begin = time.perf_counter()
    for n in range(_ENCODED_FRAMES):
        frame = frames[n % len(frames)]
        encoder.encode(Frame(frame.y, frame.uv, n, 1))
    encoder.flush()
    return encoder.name, round(_ENCODED_FRAMES / (time.perf_counter() - begin), 1)


def main() -> None:
    backend, index = sys.argv[1], int(sys.argv[2])
    answer(lambda: asdict(measure(see_only(DeviceSettings.model_validate({"backend": backend, "index": index})))))


if __name__ == "__main__":
    main()
