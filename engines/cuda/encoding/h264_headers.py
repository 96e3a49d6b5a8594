"""The parameter sets of NVENC's H.264: colour description, level, and removal of their repetitions."""

from __future__ import annotations

import io
import re

import av
from av.bitstream import BitStreamFilterContext
from av.packet import Packet

from engines.errors import EncodeFailedError
from engines.frames import ColorTags

LEVEL_MAX = 51  # level_idc of 5.1, the highest that common hardware plays
_SPS = 7
_SEQUENCE_HEADERS = {_SPS, 8}  # nal_unit_type of SPS and PPS (H.264, table 7-1)
_START_CODE = b"\x00\x00\x00\x01"
_ANY_START_CODE = re.compile(b"\x00?\x00\x00\x01")


def tagged(headers: bytes, color: ColorTags) -> bytes:
    """Return SPS and PPS (Annex B) with the colour description, which the library's options cannot set.

    The level is at most 5.1, which is enough for 1920x1080 at 120 frames a second.
    """
    tags = (
        f"h264_metadata=colour_primaries={color.primaries}:transfer_characteristics={color.transfer}"
        f":matrix_coefficients={color.matrix}:video_full_range_flag={int(color.full_range)}"
    )
    if _level(headers) > LEVEL_MAX:
        tags += f":level={LEVEL_MAX / 10}"
    try:
        with av.open(io.BytesIO(), "w", format="h264") as scratch:
            stream = scratch.add_stream("libx264", rate=25)  # tells the filter the codec
            return b"".join(bytes(packet) for packet in BitStreamFilterContext(tags, stream).filter(Packet(headers)))
    except av.FFmpegError as error:
        raise EncodeFailedError(f"NVENC's headers cannot be read: {error}") from error


def _level(headers: bytes) -> int:
    """Return level_idc of the SPS (H.264, 7.3.2.1.1); 0 without an SPS."""
    units = [unit for unit in _ANY_START_CODE.split(headers) if len(unit) > 3]
    return next((unit[3] for unit in units if unit[0] & 31 == _SPS), 0)


def without_sequence_headers(data: bytes) -> bytes:
    """Return an access unit (Annex B) without the parameter sets that NVENC repeats before every keyframe."""
    units = [unit for unit in _ANY_START_CODE.split(data) if unit]
    return b"".join(_START_CODE + unit for unit in units if unit[0] & 31 not in _SEQUENCE_HEADERS)
