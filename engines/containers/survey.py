"""Count and time span of a stream's packets, for the source and for the finished file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias, TypeVar

from av.packet import Packet
from av.stream import Stream

GAP_S = 1.0  # between two packets; voice codecs leave out silence for up to 0.4 s (Opus DTX over RTP)
NEARBY_S = 0.5  # losses closer than this count as one
MOST_SPANS = 20  # of one kind: neither memory nor the list of warnings may grow with the damage
MOST_GAPS = 1000  # before they are merged

Span: TypeAlias = tuple[float, float]
NumberT = TypeVar("NumberT", int, float)


@dataclass(slots=True)
class StreamSurvey:
    """Count and times of one stream's packets, in seconds after ``origin_s``.

    Attributes:
        first_s, end_s: start of the earliest packet and end of the latest; None without packets.
        gaps: spans of more than ``GAP_S`` without a packet, in a stream whose packets come in order of time.
        lost: spans whose packets could not be used.
    """

    origin_s: float = 0.0
    packets: int = 0
    first_s: float | None = None
    end_s: float | None = None
    gaps: list[Span] = field(default_factory=list)
    lost: list[Span] = field(default_factory=list)

    @property
    def length_s(self) -> float:
        return 0.0 if self.first_s is None or self.end_s is None else self.end_s - self.first_s

    def span(self, packet: Packet[Stream]) -> Span:
        """Return start and end of a packet; one without a time starts at the end of the one before."""
        time_base, time = packet.time_base or Fraction(1), packet.pts if packet.pts is not None else packet.dts
        begin_s = (self.end_s or 0.0) if time is None else float(time * time_base) - self.origin_s
        return begin_s, begin_s + float((packet.duration or 0) * time_base)

    def add(self, packet: Packet[Stream]) -> None:
        self.add_span(*self.span(packet))

    def add_span(self, begin_s: float, end_s: float) -> None:
        """Count one packet or frame by its times."""
        if self.end_s is not None and begin_s - self.end_s > GAP_S and len(self.gaps) < MOST_GAPS:
            self.gaps.append((self.end_s, begin_s))
        self.packets += 1
        self.first_s = begin_s if self.first_s is None else min(self.first_s, begin_s)
        self.end_s = end_s if self.end_s is None else max(self.end_s, end_s)

    def add_lost(self, span: Span) -> None:
        """Record the span of packets that could not be used."""
        self.lost = merged([*self.lost, span], NEARBY_S)


def merged(
    spans: Iterable[tuple[NumberT, NumberT]], least_gap: float, most: int = MOST_SPANS
) -> list[tuple[NumberT, NumberT]]:
    """Merge spans up to ``least_gap`` apart, in order; the gap doubles until at most ``most`` spans are left."""
    joined = _joined(sorted(spans), least_gap)
    while len(joined) > most:
        least_gap *= 2
        joined = _joined(joined, least_gap)
    return joined


def _joined(spans: Iterable[tuple[NumberT, NumberT]], least_gap: float) -> list[tuple[NumberT, NumberT]]:
    joined: list[tuple[NumberT, NumberT]] = []
    for begin, end in spans:
        if joined and begin - joined[-1][1] <= least_gap:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((begin, end))
    return joined
