"""Correct negative times in FLV: its clock is a signed 32-bit number that readers take for an unsigned one.

Some writers (FFmpeg) also drop the sign bit: then -1 ms reads as 2**31 - 1, and the first non-negative time as 2**32,
because FFmpeg's reader takes the step back for a wrap of the clock.
"""

from __future__ import annotations

from av.packet import Packet
from av.stream import Stream

FORMATS = {"flv", "live_flv"}
PERIOD_MS = 2**31
MOST_NEGATIVE_MS = 2**20  # 17 minutes; recordings that have run for 24 days are not near the end of the period


class FlvClock:
    """Takes the packets of all streams in file order; if the first time is negative, corrects all of them."""

    def __init__(self) -> None:
        self._is_negative: bool | None = None

    def correct(self, packet: Packet[Stream]) -> None:
        if packet.dts is None:
            return
        if self._is_negative is None:
            self._is_negative = packet.dts >= PERIOD_MS - MOST_NEGATIVE_MS
        if self._is_negative:
            packet.dts = _signed(packet.dts)
            packet.pts = None if packet.pts is None else _signed(packet.pts)


def _signed(time_ms: int) -> int:
    return (time_ms + MOST_NEGATIVE_MS) % PERIOD_MS - MOST_NEGATIVE_MS
