"""Opens the encoders of one job: a fresh one for each segment, all of which must write the same headers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import structlog

from engines.errors import Component, DeviceUnavailableError, EncoderBusyError
from engines.frames import ColorTags
from engines.protocols import Encoder
from pipeline.errors import StartOverError
from pipeline.rendering.stream import OUTPUT_HEIGHT, OUTPUT_WIDTH, StreamJob
from pipeline.segments.checkpoint import Checkpoint

_X264 = "libx264"
_SETTINGS_NAMES = {_X264: "x264", "h264_nvenc": "nvenc"}  # by name of the encoder
_MAX_THREADS = 16

log = structlog.get_logger(__name__)


def codec_of(encoder: str) -> str:
    """Return the codec of an encoder."""
    return "hevc" if encoder == "libx265" else "h264"


class EncoderChangedError(StartOverError):
    """The finished segments come from an encoder that does not work here: the job must start over.

    Attributes:
        successor: the encoder that all of the job must use now; "" leaves the choice open.
    """

    code = "ENCODER_CHANGED"
    remedy = "Nothing to do: the job starts over with the encoder that works here."
    component = Component.ENCODER

    def __init__(self, message: str, successor: str = "") -> None:
        super().__init__(message)
        self.successor = successor


def open_encoder(job: StreamJob, color: ColorTags) -> Encoder:
    """Open an encoder of the kind that the finished segments come from, so that all of them can be joined.

    While the encoder of a GPU is busy, the job waits; then x264 encodes the whole job, if the settings allow that.

    Raises:
        EncoderChangedError: that kind does not work here and another one may be used, or its headers differ.
        EncoderBusyError: no session came free, and x264 is not allowed.
        JobStopped: a stop is requested while the job waits.
        EngineError: as ``Backend.encoder``.
    """
    spec, checkpoint = job.spec, job.checkpoint
    profile, pinned = spec.profile, _SETTINGS_NAMES.get(checkpoint.encoder)
    # If the GPU has encoded segments already, waiting costs less than starting over.
    wait_s = spec.device.nvenc_wait_s if pinned or profile.encoder_busy == "wait" else 0.0
    threads = pin_threads(job)

    def create(kind: str) -> Encoder:
        settings = profile.model_copy(update={"encoder": kind, "threads": threads})
        video = job.info.video
        return job.backend.encoder(
            OUTPUT_WIDTH, OUTPUT_HEIGHT, time_base=video.time_base, fps=video.fps, color=color, settings=settings
        )

    try:
        encoder = _retrying(lambda: create(pinned or profile.encoder), wait_s, lambda: _wait(job))
    except DeviceUnavailableError as error:
        if pinned and profile.encoder == "auto":
            raise EncoderChangedError(f"its segments were encoded with {pinned}: {error.message}") from error
        raise
    except EncoderBusyError as error:
        if profile.encoder != "auto" or not spec.device.nvenc_fallback:
            raise
        if checkpoint.segments:
            raise EncoderChangedError(error.message, successor=_X264) from error
        use_x264(checkpoint, error.message)
        encoder = create("x264")
    if checkpoint.extradata and encoder.extradata.hex() != checkpoint.extradata:
        raise EncoderChangedError(f"{encoder.name} writes other headers here than where its segments were encoded")
    return encoder


def _retrying(create: Callable[[], Encoder], wait_s: float, on_wait: Callable[[], None]) -> Encoder:
    """Try to create an encoder until one is free or the time is over; ``create`` may wait a moment itself."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return create()
        except EncoderBusyError as error:
            if time.monotonic() >= deadline:
                raise EncoderBusyError(f"No encoder came free in {wait_s:g} s: {error.message}") from error
        on_wait()


def _wait(job: StreamJob) -> None:
    job.on_wait()
    job.interruption.check("while it waited, and will go on from its last segment")


def use_x264(checkpoint: Checkpoint, reason: str) -> None:
    """Let x264 encode the whole job, although the GPU has an encoder."""
    checkpoint.pin_encoder(_X264, f"NVENC is not used: {reason}")
    log.warning("x264 encodes in the place of the GPU", reason=reason)


def pin_threads(job: StreamJob) -> int:
    """Return the number of threads by x264's own rule. The output depends on it, so a resumed job keeps the number."""
    checkpoint = job.checkpoint
    if not checkpoint.encoder_threads:
        cores = os.cpu_count() or 1
        checkpoint.pin_encoder_threads(job.spec.profile.threads or min(_MAX_THREADS, max(1, cores * 3 // 2)))
    return checkpoint.encoder_threads
