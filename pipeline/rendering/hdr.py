"""Decides whether a job keeps HDR, and warns if it was asked to and cannot."""

from __future__ import annotations

from engines.frames import VideoInfo
from engines.media_warnings import MediaWarning, media_warning
from engines.registry import Backend
from engines.settings import EncoderSettings
from engines.tone_map import tone_source


def keeps_hdr(settings: EncoderSettings, video: VideoInfo, backend: Backend) -> bool:
    """Return whether the output is HDR or BT.2020 as the source."""
    return _is_requested(settings, video) and obstacle(settings, backend) is None


def obstacle(settings: EncoderSettings, backend: Backend) -> str | None:
    """Return why HDR cannot be kept; None if it can."""
    if settings.encoder != "auto":
        return f"encoder: {settings.encoder} writes H.264, which has 8 bits here"
    return None if backend.keeps_hdr else f"{backend.device} works with 8 bits"


def hdr_warnings(settings: EncoderSettings, video: VideoInfo, backend: Backend) -> tuple[MediaWarning, ...]:
    reason = obstacle(settings, backend)
    if reason is None or not _is_requested(settings, video):
        return ()
    return (media_warning("HDR_TONEMAPPED", reason=reason),)


def _is_requested(settings: EncoderSettings, video: VideoInfo) -> bool:
    return settings.hdr == "keep" and tone_source(video.color) is not None
