"""Detect changed stream properties in packets: the GPU's frames show only some of them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from engines.cuda.decoding.vp9 import explicit_sizes
from engines.frames import VideoInfo
from engines.video.color import merge_tags, tags_of
from engines.video.geometry import UNKNOWN_ASPECT, first_orientation
from engines.video.keyframes import decoded_alone
from engines.video.orientation import frame_orientation

_START_CODE = b"\x00\x00\x01"
_ORIENTATION = 47  # SEI payload type of H.264 and HEVC
_SLICES = {"h264": range(1, 6), "hevc": range(32)}
_SEQUENCE, _SEI = {"h264": 7, "hevc": 33}, {"h264": 6, "hevc": 39}


class HeaderWatch:
    """Looks at the parameter sets in front of keyframes of H.264 and HEVC, and at the sizes in the frames of VP9.

    A set that the stream's header lacks is usually harmless, so FFmpeg decodes its keyframe to compare. It also decodes
    every keyframe of AV1, which may be smaller than its parameter set says.
    """

    def __init__(self, video: VideoInfo, stream: VideoStream) -> None:
        self._video = video
        self._stream = stream
        self._size = video.coded_width, video.coded_height
        self._header = bytes(stream.codec_context.extradata or b"")
        self._length_bytes = _length_bytes(video.codec, self._header)
        self._harmless: set[bytes] = set()
        self._turns: set[bytes] = set()

    def has_changed(self, packet: Packet[Stream]) -> bool:
        """Return whether size, pixel aspect, orientation or colours change at this packet."""
        if self._video.codec == "vp9":
            return any(size != self._size for size in explicit_sizes(bytes(packet)))
        if not packet.is_keyframe:
            return False
        if self._video.codec == "av1":
            return self._differs(packet)
        return self._video.codec in _SEQUENCE and self._has_new_sets(packet)

    def _has_new_sets(self, packet: Packet[Stream]) -> bool:
        """Return whether the parameter sets and messages before a keyframe change something."""
        units = set(self._describing(packet))
        news = {unit for unit in units if unit not in self._header} - self._harmless
        is_turned_back = bool(self._turns - units)
        self._turns = {unit for unit in units if unit not in self._header}
        if not news and not is_turned_back and not packet.has_sidedata("new_extradata"):
            return False
        if self._differs(packet):
            return True
        self._harmless |= news
        return False

    def _differs(self, packet: Packet[Stream]) -> bool:
        frame = decoded_alone(packet, self._stream.codec_context)
        return frame is None or not self._is_as_before(*frame)

    def _describing(self, packet: Packet[Stream]) -> Iterator[bytes]:
        codec = self._video.codec
        for unit in nal_units(memoryview(packet), self._length_bytes):
            kind = unit[0] & 31 if codec == "h264" else unit[0] >> 1 & 63
            if kind in _SLICES[codec]:
                return
            if kind == _SEQUENCE[codec] or (kind == _SEI[codec] and _ORIENTATION in messages(bytes(unit), codec)):
                yield bytes(unit)

    def _is_as_before(self, frame: VideoFrame, aspect: Fraction | None) -> bool:
        video = self._video
        return (
            (frame.width, frame.height) == self._size
            and video.coded_aspect in (aspect, UNKNOWN_ASPECT)
            and frame_orientation(frame) in (None, first_orientation(video))
            and merge_tags(tags_of(frame), video.color) == video.color
        )


def messages(unit: bytes, codec: str) -> list[int]:
    """Return the payload types of the messages in an SEI unit."""
    found, data = [], unit[1 if codec == "h264" else 2 :].replace(b"\x00\x00\x03", b"\x00\x00")
    at = 0
    while at + 1 < len(data) and data[at:] != b"\x80":
        kind, at = _number(data, at)
        size, at = _number(data, at)
        found.append(kind)
        at += size
    return found


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Return a number stored as a sum of bytes, the last below 255, and the offset behind it."""
    total = 0
    while at < len(data):
        total, at = total + data[at], at + 1
        if data[at - 1] != 255:
            break
    return total, at


def nal_units(data: memoryview, length_bytes: int) -> Iterator[memoryview]:
    """Yield the NAL units of an access unit, without tiny ones.

    They are length-prefixed, or have start codes if ``length_bytes`` is 0.
    """
    if not length_bytes:
        yield from _after_start_codes(data)
        return
    at = 0
    while at + length_bytes < len(data):
        end = at + length_bytes + int.from_bytes(data[at : at + length_bytes], "big")
        if end - at - length_bytes > 2:
            yield data[at + length_bytes : end]
        at = end


def _after_start_codes(data: memoryview) -> Iterator[memoryview]:
    raw = bytes(data)
    begin = raw.find(_START_CODE)
    while begin >= 0:
        begin += len(_START_CODE)
        end = raw.find(_START_CODE, begin)
        unit = raw[begin:] if end < 0 else raw[begin:end]
        if len(unit) > 2:
            yield memoryview(unit.rstrip(b"\x00"))
        begin = end


def _length_bytes(codec: str, header: bytes) -> int:
    """Return the size of a unit's length field in avcC or hvcC (ISO/IEC 14496-15); 0 for start codes."""
    at = {"h264": 4, "hevc": 21}.get(codec, 0)
    return (header[at] & 3) + 1 if at and len(header) > at and header[0] == 1 else 0
