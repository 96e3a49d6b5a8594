"""The encoders of one job: every segment has a fresh one, and all of them must write the same headers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import structlog

from engines.errors import DeviceUnavailableError, EncoderBusyError
from engines.frames import ColorTags, VideoInfo
from engines.protocols import Encoder
from engines.registry import Backend
from pipeline.errors import StartOverError
from pipeline.job import JobSpec
from pipeline.segments.checkpoint import Checkpoint

_X264 = "libx264"
_KINDS = {_X264: "x264", "h264_nvenc": "nvenc"}  # encoders' names, and what settings call them
_MAX_THREADS = 16

log = structlog.get_logger(__name__)


def codec_of(encoder: str) -> str:
    """What an encoder of this name writes."""
    return "hevc" if encoder == "libx265" else "h264"


class EncoderChangedError(StartOverError):
    """The finished segments come from an encoder that is not to be had here: the job must start over.

    Attributes:
        successor: the encoder that all of the job is to have now; "" leaves the choice open.
    """

    code = "ENCODER_CHANGED"
    remedy = "Nothing to do: the job starts over with the encoder that works here."
    doctor_check = "codecs-cuda"

    def __init__(self, message: str, successor: str = "") -> None:
        super().__init__(message)
        self.successor = successor


def open_encoder(
    backend: Backend,
    spec: JobSpec,
    checkpoint: Checkpoint,
    video: VideoInfo,
    color: ColorTags,
    size: tuple[int, int],
    on_wait: Callable[[], None] = lambda: None,
) -> Encoder:
    """A fresh encoder of the kind that the finished segments come from, so that all of them can be joined.

    A GPU whose encoder stays busy changes no frame's quality: x264 encodes in its place, if it may, and then all of
    the job.

    Args:
        on_wait: called about once a second while the GPU's encoder is busy; what it raises goes through.

    Raises:
        EncoderChangedError: that kind does not work here and need not, or its headers have become others.
        EncoderBusyError: no session came free, and x264 is not to stand in.
        EngineError: as ``Backend.encoder``.
    """
    profile, pinned = spec.profile, _KINDS.get(checkpoint.encoder)
    # What the GPU has encoded already is worth some waiting.
    wait_s = spec.device.nvenc_wait_s if pinned or profile.encoder_busy == "wait" else 0.0
    threads = _threads(spec, checkpoint)

    def create(kind: str) -> Encoder:
        settings = profile.model_copy(update={"encoder": kind, "threads": threads})
        return backend.encoder(*size, time_base=video.time_base, fps=video.fps, color=color, settings=settings)

    try:
        encoder = _patiently(lambda: create(pinned or profile.encoder), wait_s, on_wait)
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


def _patiently(create: Callable[[], Encoder], wait_s: float, on_wait: Callable[[], None]) -> Encoder:
    """The encoder, tried for again while the GPU has none free; one try may wait a moment itself."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return create()
        except EncoderBusyError as error:
            if time.monotonic() >= deadline:
                raise EncoderBusyError(f"No encoder came free in {wait_s:g} s: {error.message}") from error
        on_wait()


def use_x264(checkpoint: Checkpoint, reason: str) -> None:
    """Let x264 encode the whole job, although the GPU has an encoder."""
    checkpoint.encoder, checkpoint.encoder_note = _X264, f"NVENC is not used: {reason}"
    log.warning("x264 encodes in the place of the GPU", reason=reason)


def _threads(spec: JobSpec, checkpoint: Checkpoint) -> int:
    """x264's own rule for threads. Its output depends on their number, so a resumed job keeps the first choice."""
    if not checkpoint.encoder_threads:
        cores = os.cpu_count() or 1
        checkpoint.encoder_threads = spec.profile.threads or min(_MAX_THREADS, max(1, cores * 3 // 2))
    return checkpoint.encoder_threads
