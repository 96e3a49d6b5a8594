"""Run a codec over the packets of a feed and return slots, also for damaged packets.

Decoding is frame-threaded and strict until the first error. How FFmpeg's threads decode damaged frames, and frames that
refer to them, differs from run to run, and so do their errors. A single thread gives the same result every time, so it
decodes the rest of the file, leniently, from a keyframe before the damage. (It also returns the frames after an error
during a flush, which PyAV cannot get with several threads.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path

import av
from av.codec.context import Flags
from av.packet import Packet
from av.stream import Stream

from engines.containers.demux import pixel_limit
from engines.cpu.filters import Frame
from engines.edits.video import is_hidden
from engines.frames import VideoInfo
from engines.video.geometry import GeometryTracker
from engines.video.seeking import NO_PRESENTATION_TIMES, Feed, feed_from
from engines.video.timeline import Slot, Timeline, step_ticks

# Not AV1: each of its packets is a temporal unit, which has exactly one shown frame (AV1 specification, 7.5).
CODECS_WITH_HIDDEN_PACKETS = {"vp8", "vp9", "mpeg4", "msmpeg4v3", "h263"}
HIDDEN_NUMBER = -1  # instead of a packet's number: an edit list hides its frame
KEYFRAMES_BEFORE_DAMAGE = 2


class CodecRun:
    """Decodes a feed to its end; decoding releases the GIL.

    Args:
        threads: 0 chooses by the number of cores.

    Attributes:
        broken_end: whether the demuxer stopped before the end of the file; valid when the slots are exhausted.
    """

    def __init__(self, path: Path, video: VideoInfo, feed: Feed, threads: int) -> None:
        self._path = path
        self._video = video
        self._feed = feed
        self._threads = threads
        self._context = feed.stream.codec_context
        self._context.thread_type = "AUTO"
        self._context.thread_count = threads
        self._context.flags |= Flags.output_corrupt  # damage is reported instead of hidden
        strict = {"err_detect": "explode"} if threads != 1 else {}
        self._context.options = strict | pixel_limit(video.max_pixels)
        self._timeline: Timeline[Frame] = Timeline(
            step=step_ticks(video.fps, video.time_base),
            hidden_packets=video.interlaced or video.codec in CODECS_WITH_HIDDEN_PACKETS,
            in_order_only=feed.container.format.name in NO_PRESENTATION_TIMES,
        )
        self._geometry = GeometryTracker(self._context, video)
        self._damaged = False
        self.broken_end = False

    def slots(self) -> Iterator[Slot[Frame]]:
        """Yield one slot per announced frame, in order of pts; lost and damaged ones have no frame."""
        if self._threads == 1:
            yield from self._decode_all()
            return
        last_pts: int | None = None
        held: deque[Slot[Frame]] = deque()  # frames that may refer to a later, damaged one
        for slot in self._decode_all():
            held.append(slot)
            if self._damaged:
                break
            if len(held) > self._context.reorder_depth + 1:
                last_pts = held[0].pts
                yield held.popleft()
        if self._damaged:
            yield from self._redecode_in_one_thread(last_pts, held[0].pts if held else last_pts)
        else:
            yield from held

    def _redecode_in_one_thread(self, last_pts: int | None, from_pts: int | None) -> Iterator[Slot[Frame]]:
        """Yield the slots after ``last_pts``, decoded with one thread."""
        self._feed.close()
        with feed_from(self._path, self._video.index, from_pts, KEYFRAMES_BEFORE_DAMAGE) as feed:
            run = CodecRun(self._path, self._video, feed, threads=1)
            yield from (slot for slot in run.slots() if last_pts is None or slot.pts > last_pts)
            self.broken_end = run.broken_end

    def _decode_all(self) -> Iterator[Slot[Frame]]:
        for packet in self._feed.packets:
            if packet is None:
                yield from self._note_damage(self._decode(None))
                self._context.flush_buffers()
                continue
            if packet.size == 0:
                continue  # AVI's "show the last frame again"
            packet.pts = HIDDEN_NUMBER if is_hidden(packet) else self._timeline.announce(packet)
            self._geometry.expect(packet)
            yield from self._note_damage(self._decode(packet))
        yield from self._note_damage(self._decode(None))
        yield from self._note_damage(self._timeline.finish())
        self.broken_end = self._feed.reader.broken_end

    def _note_damage(self, slots: list[Slot[Frame]]) -> list[Slot[Frame]]:
        self._damaged = self._damaged or any(slot.frame is None for slot in slots)
        return slots

    def _decode(self, packet: Packet[Stream] | None) -> list[Slot[Frame]]:
        try:
            frames = self._context.decode(packet)
        except av.FFmpegError:
            self._damaged = True
            return self._timeline.report_error()
        shown = (frame for frame in self._geometry.tag(frames) if frame.pts != HIDDEN_NUMBER)
        placed = (self._timeline.place(frame.pts, None if frame.is_corrupt else frame) for frame in shown)
        return [slot for slots in placed for slot in slots]
