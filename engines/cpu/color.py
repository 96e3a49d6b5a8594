"""What a stream and its pictures say about their colours."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import cast

from av.sidedata.sidedata import SideData, Type
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from engines.frames import ColorTags

UNSPECIFIED = 2                                # ITU-T H.273
RANGE_FULL = 2                                 # AVCOL_RANGE_JPEG
_MASTERING = struct.Struct("=22i")             # AVMasteringDisplayMetadata: ten fractions, two flags


def tags_of(source: VideoCodecContext | VideoFrame) -> ColorTags:
    """Colour tags as a codec or a picture has them."""
    pixel_format = source.format
    return ColorTags(
        primaries=int(source.color_primaries),
        transfer=int(source.color_trc),
        matrix=int(source.colorspace),
        full_range=int(source.color_range) == RANGE_FULL or bool(pixel_format and pixel_format.name.startswith("yuvj")),
    )


def known(tags: ColorTags, otherwise: ColorTags) -> ColorTags:
    """The tags, and where they say nothing the other ones. A range is always known."""
    return ColorTags(
        primaries=otherwise.primaries if tags.primaries == UNSPECIFIED else tags.primaries,
        transfer=otherwise.transfer if tags.transfer == UNSPECIFIED else tags.transfer,
        matrix=otherwise.matrix if tags.matrix == UNSPECIFIED else tags.matrix,
        full_range=tags.full_range,
    )


def brightest(frame: VideoFrame) -> float | None:
    """Brightest white of the content in cd/m2: the mastering display's, or MaxCLL where that is less. None: unknown."""
    data = {item.type: bytes(item) for item in cast(Iterable[SideData], frame.side_data)}
    said = [_mastering_peak(data.get(Type.MASTERING_DISPLAY_METADATA)), _max_cll(data.get(Type.CONTENT_LIGHT_LEVEL))]
    return min((peak for peak in said if peak), default=None)


def _mastering_peak(data: bytes | None) -> float | None:
    if data is None or len(data) < _MASTERING.size:
        return None
    *_, numerator, denominator, _, has_luminance = _MASTERING.unpack(data[: _MASTERING.size])
    return numerator / denominator if has_luminance and denominator else None


def _max_cll(data: bytes | None) -> float | None:
    """AVContentLightMetadata begins with it; 0 is "not known"."""
    return float(struct.unpack_from("=I", data)[0]) if data and len(data) >= 4 else None
