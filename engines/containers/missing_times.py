"""Give times to the first packets of a stream if they have none.

Matroska's reader gives no time to a block before 0, and other formats omit times until the first keyframe or clock
reference. Such packets are spaced evenly before the first packet with a time. Otherwise they would all count from 0 and
collide with those that follow.
"""

from __future__ import annotations

from fractions import Fraction

from av.packet import Packet
from av.stream import Stream

KNOWN_IN_A_ROW = 17  # after so many packets with a time, none is missing: codecs reorder less deeply
MOST_PACKETS = 4096  # held back at once
FALLBACK_STEP_S = Fraction(1, 25)


class MissingTimes:
    """Holds back the first packets of one stream until their times are known; the others pass.

    Args:
        step_s: time between packets for those without a duration; None if it is unknown.
    """

    def __init__(self, step_s: Fraction | None) -> None:
        self._step_s = step_s
        self._held: list[Packet[Stream]] = []
        self._known_in_a_row = 0
        self._has_begun = False

    def take(self, packet: Packet[Stream]) -> list[Packet[Stream]]:
        """Add a packet; return those whose times are known."""
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
        """Return all packets held back, with times."""
        held, self._held = self._held, []
        unknown = [packet for packet in held if packet.pts is None and packet.dts is None]
        if unknown:
            self._assign_times(unknown, [packet for packet in held if packet.pts is not None])
        return held

    def _assign_times(self, unknown: list[Packet[Stream]], known: list[Packet[Stream]]) -> None:
        """Assign rising times in decoding order; the timeline later sorts them by presentation."""
        steps_s = [self._duration_s(packet) for packet in unknown]
        first_s = min((p.pts * p.time_base for p in known if p.pts is not None), default=sum(steps_s, Fraction(0)))
        time_s = first_s - sum(steps_s, Fraction(0))
        for packet, step_s in zip(unknown, steps_s, strict=True):
            packet.pts = packet.dts = round(time_s / packet.time_base)
            time_s += step_s

    def _duration_s(self, packet: Packet[Stream]) -> Fraction:
        """The stream's own step is exact; a packet's duration is rounded to ticks."""
        return self._step_s or (packet.duration or 0) * packet.time_base or FALLBACK_STEP_S
