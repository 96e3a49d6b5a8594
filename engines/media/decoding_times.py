"""Give encoded packets decoding times that rise and are never later than their presentation times."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from av.codec.context import CodecContext
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext

from engines.errors import EncodeFailedError
from engines.frames import EncodedPacket


@dataclass(frozen=True, slots=True)
class TimedPacket:
    """An encoded frame with the time at which it must be decoded, in the same ticks as its pts."""

    packet: EncodedPacket
    dts: int


def decoding_times(packets: Iterable[EncodedPacket], depth: int, step: int) -> Iterator[TimedPacket]:
    """Give packets in decoding order rising decoding times, none later than the packet's pts.

    The n-th packet is decoded when the (n - depth)-th frame is shown, the first ones ``step`` ticks apart before
    that. If at most ``depth`` earlier packets are shown later (``max_num_reorder_frames`` of H.264), that is
    always in time, however unevenly the frames are spaced.
    """
    shown: list[int] = []
    start: int | None = None
    last: int | None = None
    for number, packet in enumerate(packets):
        heapq.heappush(shown, packet.pts)
        start = packet.pts if start is None else start
        dts = start - (depth - number) * step if number < depth else heapq.heappop(shown)
        if dts > packet.pts or (last is not None and dts <= last):
            raise EncodeFailedError(f"The encoder reorders frames more deeply than its header says ({depth}).")
        last = dts
        yield TimedPacket(packet, dts)


def reorder_depth(extradata: bytes, keyframe: EncodedPacket, codec: str = "h264") -> int:
    """Return how many frames may precede one in decoding order and follow it in time, by the parameter sets.

    A decoder reports it only after it has decoded a frame that uses them.
    """
    context = CodecContext.create(codec, "r")
    assert isinstance(context, VideoCodecContext)
    context.extradata = extradata
    context.thread_count = 1
    context.open()
    context.decode(Packet(keyframe.data))
    return int(context.reorder_depth)
