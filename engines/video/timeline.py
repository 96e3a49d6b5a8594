"""Assign decoded frames to the times that the container's packets announce.

A packet's number, not its timestamp, goes through the codec, so each frame is matched to its packet. The packets define
which times there must be; a time whose frame never comes is a lost frame. Two kinds of stream are exceptions:

* the container stores no presentation times (AVI), or stores them in decoding order: then the n-th frame of the codec
  gets the n-th smallest time;
* packets without a frame are legal (hidden reference frames of VP8 and VP9, packed MPEG-4, single fields): then a
  missing frame counts as lost only if the codec reported an error.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Generic, TypeVar

from av.packet import Packet
from av.stream import Stream

PATIENCE_FRAMES = 8  # a missing frame may still come within this many: more than codecs reorder

FrameT = TypeVar("FrameT")


@dataclass(slots=True)
class Slot(Generic[FrameT]):
    """One position on the timeline. ``frame`` is None if it was lost; ``duration`` is the packet's, 0 if unknown."""

    pts: int
    duration: int
    frame: FrameT | None


@dataclass(slots=True)
class Timeline(Generic[FrameT]):
    """Takes packets and frames, and returns slots in order of pts, which strictly rise.

    Args:
        step: ticks between frames, for packets without any timestamp.
        hidden_packets: whether packets without a frame are legal in this stream.
        in_order_only: the container has no presentation times, even if the demuxer invents some.
    """

    step: int
    hidden_packets: bool
    in_order_only: bool = False
    _announced: list[tuple[int, int, int]] = field(default_factory=list)  # heap of (time, packet number, duration)
    _times: dict[int, int] = field(default_factory=dict)  # packet number -> time
    _waiting: deque[tuple[int, FrameT | None]] = field(default_factory=deque)  # (time, frame)
    _packets: int = 0
    _last_dts: int | None = None
    _last_pts: int | None = None
    _latest_time: int | None = None  # largest time among the frames so far
    _errors: int = 0
    _in_order: bool = False  # times are assigned in order, not by packet

    def announce(self, packet: Packet[Stream]) -> int:
        """Record a packet's time; return the number to send through the codec in place of its pts."""
        number = self._packets
        self._packets += 1
        self._in_order = self._in_order or self.in_order_only or packet.pts is None
        time = packet.dts if self.in_order_only or packet.pts is None else packet.pts
        if time is None:
            time = self._next_time()
        self._last_dts = packet.dts if packet.dts is not None else time
        self._times[number] = time
        heapq.heappush(self._announced, (time, number, packet.duration or 0))
        return number

    def report_error(self) -> list[Slot[FrameT]]:
        """Record that the codec refused a packet; return the slots that are now complete.

        If frames cannot be matched by their times, the loss counts at the current position.
        """
        self._errors += 1
        return self._drop_earliest() if self._in_order and self._announced else []

    def place(self, number: int | None, frame: FrameT | None) -> list[Slot[FrameT]]:
        """Take the frame of packet ``number``, None if it is damaged; return the slots that are now complete."""
        time = None if number is None else self._times.pop(number, None)
        if time is None:
            self._in_order = True
            time = self._latest_time if self._latest_time is not None else 0
        if self._latest_time is not None and time < self._latest_time:
            self._in_order = True
        self._latest_time = time if self._latest_time is None else max(time, self._latest_time)
        self._waiting.append((time, frame))
        return self._match_frames(PATIENCE_FRAMES)

    def finish(self) -> list[Slot[FrameT]]:
        """Return the remaining slots; announced frames that did not come are lost."""
        slots = self._match_frames(0)
        while self._announced:
            slots += self._drop_earliest()
        self._waiting.clear()
        return slots

    def _next_time(self) -> int:
        return 0 if self._last_dts is None else self._last_dts + self.step

    def _match_frames(self, patience: int) -> list[Slot[FrameT]]:
        slots: list[Slot[FrameT]] = []
        while self._waiting and self._announced:
            time, frame = self._waiting[0]
            earliest, _, duration = self._announced[0]
            if self._in_order or time == earliest:
                self._waiting.popleft()
                heapq.heappop(self._announced)
                slots.append(self._slot(earliest, duration, frame))
            elif time < earliest:
                self._waiting.popleft()  # counted as lost before it came
            elif len(self._waiting) > patience:
                slots += self._drop_earliest()
            else:
                break
        return slots

    def _drop_earliest(self) -> list[Slot[FrameT]]:
        """Drop the earliest announced time: its frame is lost or never existed."""
        time, number, duration = heapq.heappop(self._announced)
        self._times.pop(number, None)
        if self.hidden_packets and not self._errors:
            return []
        self._errors = max(0, self._errors - 1)
        return [self._slot(time, duration, None)]

    def _slot(self, time: int, duration: int, frame: FrameT | None) -> Slot[FrameT]:
        pts = time if self._last_pts is None else max(time, self._last_pts + 1)
        self._last_pts = pts
        return Slot(pts, duration, frame)


def step_ticks(fps: Fraction, time_base: Fraction) -> int:
    """Return the ticks between frames at a constant rate, at least one."""
    return max(1, round(1 / (fps * time_base)))
