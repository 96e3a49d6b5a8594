"""Decode single keyframes apart from their stream, to get the pixel aspect of each."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
from av.codec.context import CodecContext
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

MOST_DELAYED = 128  # keyframes inside a codec: more than threads and reordering


def decoded_alone(packet: Packet[Stream], source: VideoCodecContext) -> tuple[VideoFrame, Fraction | None] | None:
    """Return the frame of a keyframe and its pixel aspect; None if it cannot be decoded.

    Args:
        source: context of the same codec with the stream's header.
    """
    context: Any = CodecContext.create(source.name, "r")
    assert isinstance(context, VideoCodecContext)
    context.extradata = source.extradata
    context.thread_count = 1
    try:
        frames = [*context.decode(Packet(bytes(packet))), *context.decode(None)]
    except av.FFmpegError:
        return None
    return (frames[0], context.sample_aspect_ratio) if frames else None


class KeyframeAspects:
    """Finds the pixel aspect of each keyframe that a codec returns.

    A codec reports the aspect of the last frame that it returned. If it returns several keyframes at once, as when it
    is flushed, those before the last are decoded apart. With many threads that may be all of a short recording.
    """

    def __init__(self, context: VideoCodecContext) -> None:
        self._context = context
        self._begun = False
        self._held: deque[tuple[int | None, Packet[Stream]]] = deque(maxlen=MOST_DELAYED)

    def expect(self, packet: Packet[Stream]) -> None:
        """Record a packet that goes into the codec."""
        if packet.is_keyframe:
            self._held.append((packet.pts, packet))

    def of(self, frames: Sequence[VideoFrame]) -> dict[int, Fraction | None]:
        """Return the aspects of the keyframes and of the very first frame, by position in ``frames``."""
        places = [place for place, frame in enumerate(frames) if frame.key_frame or not (place or self._begun)]
        self._begun = self._begun or bool(frames)
        packets = [self._taken(frames[place].pts) for place in places]
        aspects = {place: self._apart(packet) for place, packet in zip(places[:-1], packets[:-1], strict=True)}
        return aspects | {place: self._context.sample_aspect_ratio for place in places[-1:]}

    def _taken(self, pts: int | None) -> Packet[Stream] | None:
        """Return the packet of a frame and forget all earlier packets."""
        numbers = [number for number, _ in self._held]
        if pts not in numbers:
            return None
        for _ in range(numbers.index(pts)):
            self._held.popleft()
        return self._held.popleft()[1]

    def _apart(self, packet: Packet[Stream] | None) -> Fraction | None:
        found = None if packet is None else decoded_alone(packet, self._context)
        return self._context.sample_aspect_ratio if found is None else found[1]
