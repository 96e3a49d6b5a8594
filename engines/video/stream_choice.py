"""Choose the video stream that is the recording, by number and size of its frames.

Cover art and thumbnails are never chosen; those that the container does not mark have few frames. Of the other streams,
those with at least half as many frames as the longest are candidates, and the one with the largest frame wins. Among
equals, the stream that the file marks as default wins, then the first.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from engines.containers.demux import PacketReader, open_media
from engines.containers.streams import STILL_IMAGES, codec_name
from engines.errors import NotMediaError, NoVideoError
from engines.media_warnings import MediaWarning, media_warning

STILL_CODECS = {"mjpeg", "png", "bmp", "gif", "webp", "tiff", "jpeg2000", "jpegls"}
FEW_FRAMES = 5
FEW_SHARE = 0.02  # of the longest stream's frames: chapter thumbnails, one every few seconds
ENOUGH_SHARE = 0.5  # of the longest stream's frames
UNKNOWN = FEW_FRAMES + 1  # more than a thumbnail has
SAMPLE_PACKETS = 600  # read if the container does not give the number of frames
_DURATION_TAG = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class VideoChoice:
    """The chosen stream, the reason, and warnings about the other streams."""

    stream: VideoStream
    reason: str
    warnings: tuple[MediaWarning, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    stream: VideoStream
    frames: int

    @property
    def pixels(self) -> int:
        context = self.stream.codec_context
        return context.width * context.height if context is not None else 0

    @property
    def size(self) -> str:
        context = self.stream.codec_context
        return f"{context.width}x{context.height}" if self.pixels else "unknown size"


def choose_video(container: InputContainer, path: Path) -> VideoChoice:
    """Choose by the headers; if they are incomplete and there are several streams, read a bounded part of the file.

    Raises:
        NotMediaError, NoVideoError: there is no video stream, or only still images that accompany audio.
        OSError: the storage failed.
    """
    streams = [s for s in container.streams.video if not s.disposition & STILL_IMAGES]
    candidates = [_Candidate(s, n) for s, n in zip(streams, _frames(streams, path), strict=True)]
    moving = [c for c in candidates if not _is_thumbnail(c, candidates)]
    if not moving or (_is_single_still(moving) and _has_audio(container)):
        raise _no_video(container)
    chosen = max(moving, key=lambda c: _rank(c, moving))
    left = [c for c in moving if c is not chosen]
    return VideoChoice(chosen.stream, _reason(chosen, left, len(container.streams.video)), _warnings(left))


def _rank(candidate: _Candidate, moving: list[_Candidate]) -> tuple[bool, bool, int, bool, int]:
    stream = candidate.stream
    return (
        stream.codec_context is not None,
        candidate.frames >= ENOUGH_SHARE * max(c.frames for c in moving),
        candidate.pixels,
        bool(stream.disposition & Disposition.default),
        -stream.index,
    )


def _is_thumbnail(candidate: _Candidate, candidates: list[_Candidate]) -> bool:
    most = max(c.frames for c in candidates)
    few = FEW_FRAMES if not _is_still_codec(candidate.stream) else max(FEW_FRAMES, FEW_SHARE * most)
    return candidate.frames <= few < most


def _is_single_still(moving: list[_Candidate]) -> bool:
    return all(c.frames == 1 and _is_still_codec(c.stream) for c in moving)


def _is_still_codec(stream: VideoStream) -> bool:
    return codec_name(stream) in STILL_CODECS


def _frames(streams: list[VideoStream], path: Path) -> list[int]:
    """Return the number of frames of each stream, exact enough to compare them."""
    known_counts = [_frames_from_header(stream) for stream in streams]
    if len(streams) < 2:
        return [n or UNKNOWN for n in known_counts]
    known = [n for n in known_counts if n is not None]
    return known if len(known) == len(streams) else _count_packets(path, streams)


def _frames_from_header(stream: VideoStream) -> int | None:
    """Return the header's number, or one derived from the stream's duration; None if it has none."""
    duration_s = _own_duration_s(stream)
    if stream.frames:
        return stream.frames
    if duration_s is None or not stream.average_rate:
        return None
    return max(1, round(duration_s * stream.average_rate))


def _own_duration_s(stream: VideoStream) -> float | None:
    """Return the duration of this stream alone. Matroska has it in a tag, not in the header."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    tags = (value for key, value in stream.metadata.items() if key.upper().split("-")[0] == "DURATION")
    found = next((match for tag in tags if (match := _DURATION_TAG.match(tag))), None)
    if found is None:
        return None
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])


def _count_packets(path: Path, streams: list[VideoStream]) -> list[int]:
    """Count packets in the first part of the file; a stream that starts after it counts as longer than a thumbnail."""
    counts: Counter[int] = Counter()
    with open_media(path) as again:
        reader = PacketReader(again, [again.streams[stream.index] for stream in streams])
        counts.update(packet.stream_index for packet in islice(reader, SAMPLE_PACKETS))
    whole_file = counts.total() < SAMPLE_PACKETS
    return [counts[s.index] or (0 if whole_file or _is_still_codec(s) else UNKNOWN) for s in streams]


def _reason(chosen: _Candidate, left: list[_Candidate], video_streams: int) -> str:
    if video_streams == 1:
        return "It is the only video stream."
    if not left:
        return "It is the only video stream; the others are cover art or thumbnails."
    others = ", ".join(f"stream {c.stream.index} ({c.size})" for c in left)
    longest = max(c.frames for c in left)
    if all(c.pixels < chosen.pixels for c in left):
        return f"Its frame is the largest ({chosen.size}); left: {others}."
    if longest < ENOUGH_SHARE * chosen.frames:
        return f"It has by far the most frames; left: {others}."
    if all(c.pixels == chosen.pixels for c in left):
        is_default = bool(chosen.stream.disposition & Disposition.default)
        which = "the file marks it as the default" if is_default else "it is the first"
        return f"All frames are of one size ({chosen.size}), and {which}; left: {others}."
    return f"Of the streams that last, its frame is the largest ({chosen.size}); left: {others}."


def _warnings(left: list[_Candidate]) -> tuple[MediaWarning, ...]:
    return tuple(
        media_warning("VIDEO_STREAM_DROPPED", stream=c.stream.index, codec=codec_name(c.stream), size=c.size)
        for c in left
    )


def _has_audio(container: InputContainer) -> bool:
    return any(s.codec_context is not None and s.codec_context.sample_rate for s in container.streams.audio)


def _no_video(container: InputContainer) -> Exception:
    if _has_audio(container):
        return NoVideoError("The file holds audio but no video.")
    return NotMediaError("The file holds neither video nor audio.")
