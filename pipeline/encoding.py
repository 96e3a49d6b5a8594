"""The encoders of one job: every segment has a fresh one, and all of them must write the same headers."""

from __future__ import annotations

import os

from engines.errors import DeviceUnavailableError
from engines.frames import ColorTags, VideoInfo
from engines.protocols import Encoder
from engines.registry import Backend
from pipeline.checkpoint import Checkpoint
from pipeline.errors import PipelineError
from pipeline.settings import ProfileSettings

_KINDS = {"libx264": "x264", "h264_nvenc": "nvenc"}  # encoders' names, and what settings call them
_MAX_THREADS = 16


def codec_of(encoder: str) -> str:
    """What an encoder of this name writes."""
    return "hevc" if encoder == "libx265" else "h264"


class EncoderChangedError(PipelineError):
    """The finished segments come from an encoder that is not to be had here: the job must start over."""

    code = "ENCODER_CHANGED"
    remedy = "Nothing to do: the job starts over with the encoder that works here."
    doctor_check = "codecs-cuda"
    retryable = True
    environmental = True


def open_encoder(
    backend: Backend,
    profile: ProfileSettings,
    checkpoint: Checkpoint,
    video: VideoInfo,
    color: ColorTags,
    size: tuple[int, int],
) -> Encoder:
    """A fresh encoder of the kind that the finished segments come from, so that all of them can be joined.

    Raises:
        EncoderChangedError: that kind does not work here and need not, or its headers have become others.
        EngineError: as ``Backend.encoder``.
    """
    pinned = _KINDS.get(checkpoint.encoder)
    settings = profile.model_copy(
        update={"encoder": pinned or profile.encoder, "threads": _threads(profile, checkpoint)}
    )
    try:
        encoder = backend.encoder(*size, time_base=video.time_base, fps=video.fps, color=color, settings=settings)
    except DeviceUnavailableError as error:
        if pinned and profile.encoder == "auto":
            raise EncoderChangedError(f"its segments were encoded with {pinned}: {error.message}") from error
        raise
    if checkpoint.extradata and encoder.extradata.hex() != checkpoint.extradata:
        raise EncoderChangedError(f"{encoder.name} writes other headers here than where its segments were encoded")
    return encoder


def _threads(profile: ProfileSettings, checkpoint: Checkpoint) -> int:
    """x264's own rule for threads. Its output depends on their number, so a resumed job keeps the first choice."""
    if not checkpoint.encoder_threads:
        cores = os.cpu_count() or 1
        checkpoint.encoder_threads = profile.threads or min(_MAX_THREADS, max(1, cores * 3 // 2))
    return checkpoint.encoder_threads
