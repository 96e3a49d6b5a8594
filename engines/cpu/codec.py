"""One run of a codec over the packets of a feed: slots out, whatever the packets hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
from av.codec.context import Flags
from av.packet import Packet
from av.stream import Stream

from engines.cpu.container import is_storage_failure
from engines.cpu.filters import Picture
from engines.cpu.seeking import Feed, feed_from
from engines.cpu.timeline import Slot, Timeline, step_ticks
from engines.frames import VideoInfo

CODECS_WITH_HIDDEN_PACKETS = {"vp8", "vp9", "av1", "mpeg4", "msmpeg4v3", "h263"}
NOT_SHOWN = -1                  # in place of a packet's number: an edit list hides its picture
TAIL_KEYFRAMES_BACK = 2


class CodecRun:
    """Decodes a feed to its end, frame-threaded; the codec's work releases the GIL.

    Args:
        threads: 0 chooses from the cores.

    Attributes:
        broken_end: the demuxer gave up before the end of the file; known when the slots are exhausted.
    """

    def __init__(self, path: Path, video: VideoInfo, feed: Feed, threads: int) -> None:
        self._path = path
        self._video = video
        self._feed = feed
        self._threads = threads
        self._context = feed.stream.codec_context
        self._context.thread_type = "AUTO"
        self._context.thread_count = threads
        self._context.flags |= Flags.output_corrupt          # damage is ours to see, not the codec's to hide
        self._timeline: Timeline[Picture] = Timeline(
            step=step_ticks(video.fps, video.time_base),
            hidden_packets=video.interlaced or video.codec in CODECS_WITH_HIDDEN_PACKETS,
        )
        self.broken_end = False

    def slots(self) -> Iterator[Slot[Picture]]:
        """One slot per picture that the packets announce, in order of pts; lost and damaged ones without a picture."""
        for packet in self._feed.packets:
            if packet.size == 0:
                continue                                     # AVI's "show the last picture again"
            packet.pts = NOT_SHOWN if packet.is_discard else self._timeline.announce(packet)
            yield from self._decode(packet)
        yield from self._decode(None)
        self.broken_end = self._feed.reader.broken_end
        missing_from = self._timeline.missing_from
        if missing_from is None or self._threads == 1:
            yield from self._timeline.finish()
        else:
            yield from self._tail(missing_from)

    def _decode(self, packet: Packet[Stream] | None) -> Iterator[Slot[Picture]]:
        try:
            frames = self._context.decode(packet)
        except av.FFmpegError as error:
            if is_storage_failure(error, self._path):
                raise
            yield from self._timeline.complain()
            return
        for frame in frames:
            if frame.pts != NOT_SHOWN:
                yield from self._timeline.place(frame.pts, None if frame.is_corrupt else frame)

    def _tail(self, missing_from: int) -> Iterator[Slot[Picture]]:
        """Decode the end again with one thread.

        Where a codec with several threads meets an error while it drains, PyAV has no way to the pictures behind it;
        with one thread errors come with their packets.
        """
        last_pts = self._timeline.last_pts
        with feed_from(self._path, missing_from, TAIL_KEYFRAMES_BACK) as feed:
            for slot in CodecRun(self._path, self._video, feed, threads=1).slots():
                if last_pts is None or slot.pts > last_pts:
                    yield slot
