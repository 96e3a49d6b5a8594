"""Open a stream in the middle so that decoding gives exactly the frames of a run from the start.

The decoder seeks only in MP4 and Matroska, whose packets carry exact times. In the other formats times are computed
while reading, so reading starts at the beginning and the packets before the keyframe are discarded, which takes a pass
over the file but no decoding. AVI has no presentation times at all and is decoded from the start.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import cast

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from engines.containers.demux import PacketReader, open_media
from engines.containers.edit_lists import Edits, read_edit_lists
from engines.edits.video import EditedPackets, ReadStart, read_start_before

SEEKABLE = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}
NO_PRESENTATION_TIMES = {"avi", "h264", "hevc", "m4v", "mpegvideo"}


@dataclass(slots=True)
class Feed:
    """Packets of the video stream from a keyframe on. Close it, or use it as a context manager.

    None among the packets means that the codec must be flushed.
    """

    container: InputContainer
    stream: VideoStream
    reader: PacketReader | EditedPackets
    packets: Iterator[Packet[Stream] | None]
    from_start: bool
    path: Path
    start_pts: int | None = None  # as requested
    keyframes_back: int | None = None

    def reopened(self) -> Feed:
        """Return a new feed of the same packets."""
        return feed_from(self.path, self.stream.index, self.start_pts, self.keyframes_back)

    def __enter__(self) -> Feed:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.container.close()


def feed_from(path: Path, index: int, start_pts: int | None, keyframes_back: int | None) -> Feed:
    """Open the stream ``index`` of a file ``keyframes_back`` keyframes before ``start_pts``; None: at its start."""
    lists = read_edit_lists(path)
    feed = _open(path, index)
    feed.start_pts, feed.keyframes_back = start_pts, keyframes_back
    if lists.are_complex:
        return _edited(feed, lists.of(feed.stream.id), start_pts, keyframes_back)
    if start_pts is None or keyframes_back is None or feed.container.format.name in NO_PRESENTATION_TIMES:
        return feed
    if feed.container.format.name in SEEKABLE and _seek_back(feed, start_pts, keyframes_back):
        return feed
    feed.close()
    skipped = _packets_before(path, index, start_pts, keyframes_back)
    feed = _open(path, index)
    feed.start_pts, feed.keyframes_back = start_pts, keyframes_back
    feed.packets = islice(feed.packets, skipped, None)
    feed.from_start = skipped == 0
    return feed


def _edited(feed: Feed, edits: Edits, start_pts: int | None, keyframes_back: int | None) -> Feed:
    """Return the feed as its edit list presents it."""

    def keyframe_at(target: int) -> int | None:
        first = _keyframe_at(feed, target)
        return None if first is None else first.pts

    start = ReadStart()
    if start_pts is not None and keyframes_back is not None and edits:
        start = read_start_before(edits, start_pts, keyframes_back, keyframe_at)
    feed.reader = EditedPackets(feed.container, feed.stream, edits, start)
    feed.packets, feed.from_start = iter(feed.reader), start == ReadStart()
    return feed


def _open(path: Path, index: int) -> Feed:
    container = open_media(path)
    stream = cast(VideoStream, container.streams[index])
    reader = PacketReader(container, [stream])
    return Feed(container, stream, reader, iter(reader), from_start=True, path=path)


def _seek_back(feed: Feed, start_pts: int, keyframes_back: int) -> bool:
    """Seek back keyframe by keyframe; return False if a seek did not find a keyframe at or before its target."""
    target = start_pts
    for _ in range(keyframes_back):
        first = _keyframe_at(feed, target)
        if first is None or first.pts is None:
            return False
        feed.packets = chain([first], feed.packets)
        feed.from_start = _is_first(feed.stream, first)
        if feed.from_start:
            return True
        target = first.pts - 1
    return True


def _keyframe_at(feed: Feed, target: int) -> Packet[Stream] | None:
    try:
        feed.container.seek(target, stream=feed.stream, backward=True)
    except av.FFmpegError:
        return None
    feed.reader = PacketReader(feed.container, [feed.stream])
    packets = iter(feed.reader)
    feed.packets, first = packets, next(packets, None)
    if first is None or not first.is_keyframe or first.pts is None or first.pts > target:
        return None
    return first


def _is_first(stream: VideoStream, packet: Packet[Stream]) -> bool:
    return stream.start_time is not None and packet.pts is not None and packet.pts <= stream.start_time


def _packets_before(path: Path, index: int, start_pts: int, keyframes_back: int) -> int:
    """Return the number of packets before the ``keyframes_back``-th last keyframe at or before ``start_pts``."""
    keyframes = [0]
    with _open(path, index) as feed:
        for number, packet in enumerate(feed.packets):
            if packet is None or packet.pts is None:
                return 0
            if packet.is_keyframe and packet.pts > start_pts:
                break
            if packet.is_keyframe:
                keyframes.append(number)
    return keyframes[-keyframes_back] if len(keyframes) > keyframes_back else 0
