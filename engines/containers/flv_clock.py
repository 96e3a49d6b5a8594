"""Negative times in FLV, whose clock is a signed number of 32 bits that readers take for an unsigned one.

Some writers (FFmpeg) drop the sign as well: then -1 ms reads as 2**31 - 1, and the first time that is not negative as
2**32, because FFmpeg's reader takes the step back for a wrap of the clock.
"""

from __future__ import annotations

from av.packet import Packet
from av.stream import Stream

FORMATS = {"flv", "live_flv"}
PERIOD_MS = 2**31
MOST_NEGATIVE_MS = 2**20  # 17 minutes; recordings that have run for 24 days are not near the end of the period


class FlvClock:
    """Takes the packets of all streams in the file's order; where the first one's time is negative, mends them all."""

    def __init__(self) -> None:
        self._is_negative: bool | None = None

    def mend(self, packet: Packet[Stream]) -> None:
        if packet.dts is None:
            return
        if self._is_negative is None:
            self._is_negative = packet.dts >= PERIOD_MS - MOST_NEGATIVE_MS
        if self._is_negative:
            packet.dts = _signed(packet.dts)
            packet.pts = None if packet.pts is None else _signed(packet.pts)


def _signed(time_ms: int) -> int:
    return (time_ms + MOST_NEGATIVE_MS) % PERIOD_MS - MOST_NEGATIVE_MS
