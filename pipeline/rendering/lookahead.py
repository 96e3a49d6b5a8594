"""How much look-ahead fits into its memory, and how large working frames may be."""

from __future__ import annotations

from engines.frames import VideoInfo
from engines.video.geometry import surface_size
from pipeline.degradation.workload import MAX_SURFACE_PIXELS
from pipeline.settings import LookaheadSettings

_ROW_PADDING = 64  # pixels


def lookahead_share(settings: LookaheadSettings, pixels: int, fps: float) -> float:
    """Return the share of the look-ahead that fits into its memory: 1 for ordinary frames, less for large or fast ones.

    Args:
        pixels: of a working frame.
    """
    wanted_bytes = (settings.identity_s + settings.camera_s) * fps * pixels * 3 / 2
    return min(1.0, settings.pool_bytes / wanted_bytes)


def largest_surface_pixels(settings: LookaheadSettings, video: VideoInfo, most: int) -> int:
    """Return the pixels of the largest working frame, for streams whose frames grow midway.

    The length of the look-ahead is fixed by then, so it is as many as its memory has room for, but at least as many
    as the first frame has.
    """
    width, height = surface_size(video, MAX_SURFACE_PIXELS)
    share = lookahead_share(settings, width * height, float(video.fps))
    waiting = share * (settings.identity_s + settings.camera_s) * float(video.fps)
    return min(most, max(width * height, int(settings.pool_bytes / (waiting * 3 / 2))))


def surface_bytes(video: VideoInfo) -> int:
    """Return the memory of one working frame in NV12, whose rows decoders pad."""
    width, height = surface_size(video, MAX_SURFACE_PIXELS)
    return (width + _ROW_PADDING) * (height + _ROW_PADDING) * 3 // 2
