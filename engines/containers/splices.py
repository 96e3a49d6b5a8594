"""Join transport and program streams whose clock jumps in the middle into one timeline.

Broadcast recorders and ``cat`` write such files. The later part is moved to the end of the earlier one, as players do;
all streams move by the same amount, so that audio and video stay in sync.
"""

from __future__ import annotations

from fractions import Fraction

from av.packet import Packet
from av.stream import Stream

FORMATS = {"mpegts", "mpeg"}
BACKWARD_S, FORWARD_S = 1, 10  # decoding times of a stream rise; a longer pause is a jump


class Splices:
    """Takes the packets of all streams in file order and puts their times on one timeline."""

    def __init__(self) -> None:
        self._offset_s = Fraction(0)  # of the latest part
        self._offsets_s: dict[int, Fraction] = {}  # by stream: streams reach a splice one after the other
        self._last_s: dict[int, Fraction] = {}
        self._end_s: Fraction | None = None

    def correct(self, packet: Packet[Stream]) -> None:
        """Move a packet's times onto the common timeline."""
        stream, time_base = packet.stream_index, packet.time_base
        if packet.dts is not None:
            self._offsets_s[stream] = self._offset_of(
                stream, packet.dts * time_base, (packet.duration or 0) * time_base
            )
        shift = round(self._offsets_s.get(stream, self._offset_s) / time_base)
        packet.dts = None if packet.dts is None else packet.dts + shift
        packet.pts = None if packet.pts is None else packet.pts + shift

    def _offset_of(self, stream: int, time_s: Fraction, duration_s: Fraction) -> Fraction:
        """Return the offset of a packet with decoding time ``time_s``."""
        offset_s = self._offsets_s.get(stream, self._offset_s)
        if self._jumps(stream, time_s + offset_s):
            if self._end_s is not None and self._jumps(stream, time_s + self._offset_s):
                self._offset_s = self._end_s - time_s
            offset_s = self._offset_s
        placed_s = time_s + offset_s
        self._last_s[stream] = placed_s
        self._end_s = max(self._end_s or placed_s, placed_s + duration_s)
        return offset_s

    def _jumps(self, stream: int, time_s: Fraction) -> bool:
        last_s = self._last_s.get(stream)
        if last_s is None or self._end_s is None:
            return False
        return time_s < last_s - BACKWARD_S or time_s > self._end_s + FORWARD_S
