"""Read the colour tags and HDR metadata of a stream and its frames."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import cast

from av.sidedata.sidedata import SideData, Type
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from engines.frames import ColorTags

UNSPECIFIED = 2  # ITU-T H.273
RANGE_FULL = 2  # AVCOL_RANGE_JPEG
_MASTERING = struct.Struct("=22i")  # AVMasteringDisplayMetadata: ten fractions, two flags
_LIGHT = struct.Struct("=2I")  # AVContentLightMetadata: MaxCLL, MaxFALL


def tags_of(source: VideoCodecContext | VideoFrame) -> ColorTags:
    """Return the colour tags of a codec or a frame."""
    pixel_format = source.format
    return ColorTags(
        primaries=int(source.color_primaries),
        transfer=int(source.color_trc),
        matrix=int(source.colorspace),
        full_range=int(source.color_range) == RANGE_FULL or bool(pixel_format and pixel_format.name.startswith("yuvj")),
    )


def merge_tags(tags: ColorTags, otherwise: ColorTags) -> ColorTags:
    """Return ``otherwise``, overridden by all specified tags of ``tags``; its range always counts."""
    specified = {
        name: tag for name in ("primaries", "transfer", "matrix") if (tag := getattr(tags, name)) != UNSPECIFIED
    }
    return replace(otherwise, full_range=tags.full_range, **specified)


def peak_luminance(frame: VideoFrame) -> float | None:
    """Return the brightest white in cd/m2: the mastering display's, or MaxCLL if that is less. None: unknown."""
    luminance, light = _mastering_luminance(frame), _light_levels(frame)
    peaks = [luminance[1] if luminance else 0.0, light[0] if light else 0]
    return min((float(peak) for peak in peaks if peak > 0), default=None)


def with_static_metadata(tags: ColorTags, frame: VideoFrame) -> ColorTags:
    """Return the tags with a frame's mastering display and content light level."""
    light = _light_levels(frame)
    content_light = f"{light[0]},{light[1]}" if light else ""
    return replace(tags, mastering_display=_mastering_display(frame), content_light=content_light)


def _mastering_display(frame: VideoFrame) -> str:
    numbers, luminance = _mastering_numbers(frame), _mastering_luminance(frame)
    if numbers is None or luminance is None or not numbers[-2]:
        return ""
    points = [_scaled(numbers[n : n + 2], 50_000) for n in range(0, 16, 2)]  # x, y of red, green, blue, white
    red, green, blue, white = (f"({x},{y})" for x, y in zip(points[::2], points[1::2], strict=True))
    least, most = (round(cd_m2 * 10_000) for cd_m2 in luminance)
    return f"G{green}B{blue}R{red}WP{white}L({most},{least})"


def _mastering_luminance(frame: VideoFrame) -> tuple[float, float] | None:
    """Return the darkest and the brightest level of the mastering display, cd/m2; None if they are unknown."""
    numbers = _mastering_numbers(frame)
    if numbers is None or not numbers[-1]:
        return None
    return _scaled(numbers[16:18], 10_000) / 10_000, _scaled(numbers[18:20], 10_000) / 10_000


def _mastering_numbers(frame: VideoFrame) -> tuple[int, ...] | None:
    data = _side_data(frame, Type.MASTERING_DISPLAY_METADATA)
    return _MASTERING.unpack(data[: _MASTERING.size]) if len(data) >= _MASTERING.size else None


def _light_levels(frame: VideoFrame) -> tuple[int, int] | None:
    """Return MaxCLL and MaxFALL, cd/m2; 0 means unknown."""
    data = _side_data(frame, Type.CONTENT_LIGHT_LEVEL)
    return _LIGHT.unpack(data[: _LIGHT.size]) if len(data) >= _LIGHT.size else None


def _side_data(frame: VideoFrame, kind: Type) -> bytes:
    found = (bytes(item) for item in cast(Iterable[SideData], frame.side_data) if item.type == kind)
    return next(found, b"")


def _scaled(fraction: Sequence[int], steps: int) -> int:
    return round(fraction[0] * steps / fraction[1]) if fraction[1] else 0
