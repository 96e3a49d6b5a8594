"""Times for the packets at the head of a stream that come without any.

Matroska's reader gives no time to a block that lies before 0, and other formats leave times out until the first
keyframe or clock reference. Such packets lead up to the first ones with a time, evenly; without that they would all
count from 0, and collide with those that follow.
"""

from __future__ import annotations

from fractions import Fraction

from av.packet import Packet
from av.stream import Stream

KNOWN_IN_A_ROW = 17  # packets with a time, after which none is missing: deeper than codecs reorder
MOST_PACKETS = 4096  # that are held back
FALLBACK_STEP_S = Fraction(1, 25)


class MissingTimes:
    """Holds back the first packets of one stream until their times are known; the others pass.

    Args:
        step_s: between packets, where they do not say how long they last; None if nothing tells it.
    """

    def __init__(self, step_s: Fraction | None) -> None:
        self._step_s = step_s
        self._held: list[Packet[Stream]] = []
        self._known_in_a_row = 0
        self._has_begun = False

    def take(self, packet: Packet[Stream]) -> list[Packet[Stream]]:
        """The packets that can go on."""
        is_known = packet.pts is not None or packet.dts is not None
        if self._has_begun and not self._held:
            return [packet]
        self._has_begun = True
        if is_known and not self._held:
            return [packet]
        self._held.append(packet)
        self._known_in_a_row = self._known_in_a_row + 1 if is_known else 0
        if self._known_in_a_row < KNOWN_IN_A_ROW and len(self._held) < MOST_PACKETS:
            return []
        return self.finish()

    def finish(self) -> list[Packet[Stream]]:
        """All that is held back, with times."""
        held, self._held = self._held, []
        unknown = [packet for packet in held if packet.pts is None and packet.dts is None]
        if unknown:
            self._lead_up(unknown, [packet for packet in held if packet.pts is not None])
        return held

    def _lead_up(self, unknown: list[Packet[Stream]], known: list[Packet[Stream]]) -> None:
        """Packets in decoding order get times in that order: the timeline deals them out to the frames in theirs."""
        steps_s = [self._lasts_s(packet) for packet in unknown]
        first_s = min((p.pts * p.time_base for p in known if p.pts is not None), default=sum(steps_s, Fraction(0)))
        time_s = first_s - sum(steps_s, Fraction(0))
        for packet, step_s in zip(unknown, steps_s, strict=True):
            packet.pts = packet.dts = round(time_s / packet.time_base)
            time_s += step_s

    def _lasts_s(self, packet: Packet[Stream]) -> Fraction:
        """The stream's own step is exact; a packet's duration is rounded to ticks."""
        return self._step_s or (packet.duration or 0) * packet.time_base or FALLBACK_STEP_S
