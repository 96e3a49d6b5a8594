"""Decide from parameters and time stamps whether two files are parts of one recording; nothing is decoded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from engines.containers.demux import open_media
from engines.containers.mp4_index import reject_oversized_index
from engines.containers.streams import STILL_IMAGES
from engines.errors import MediaError
from engines.video.stream_choice import choose_video

STREAMED = {"mpegts", "mpeg"}  # parts are one stream of bytes: the clock continues from part to part
REMUXED = {"mov,mp4,m4a,3gp,3g2,mj2"}  # the clock of each part begins at zero
_WRAP_S = 2**33 / 90_000  # period of the clock of MPEG streams (ISO/IEC 13818-1)
_CLOCK_TOLERANCE_S = 0.5  # the streams of one file are not cut at the same time
_CREATION_TOLERANCE_S = 3.0  # creation times are whole seconds, of a file that exists before its first frame
_TIMECODE_TOLERANCE_S = 1.0
_DAY_S = 86_400
_TIMECODE = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d+)")


@dataclass(frozen=True, slots=True)
class RecordingPart:
    """The parameters and times of one part, in seconds; None if the file does not give them.

    Attributes:
        parameters: codecs, sizes, sample rates and decoder configuration, which must be equal in all parts.
        start_s, end_s: of the video, on the file's own clock.
        created_s: creation time, seconds since 1970.
        timecode_s: of the first frame, seconds since midnight at the recording's rate.
    """

    container: str
    parameters: tuple[Any, ...]
    start_s: float
    end_s: float
    created_s: float | None
    timecode_s: float | None

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


def follows(first: Path, second: Path, *, certain_names: bool) -> bool:
    """Return whether ``second`` continues the recording ``first``.

    Args:
        certain_names: the names already show that both are parts of one recording (GoPro): then no time stamp may
            contradict it. For names that only count, at least one time stamp must confirm it.

    Raises:
        OSError: the storage failed.
    """
    try:
        a, b = describe_part(first), describe_part(second)
    except (MediaError, av.FFmpegError):
        return False
    if a.container != b.container or a.container not in STREAMED | REMUXED or a.parameters != b.parameters:
        return False
    checks = list(_timestamp_checks(a, b, certain_names=certain_names))
    return all(checks) and (any(checks) or certain_names)


def describe_part(path: Path) -> RecordingPart:
    """Read a part's headers.

    Raises:
        MediaError: the file cannot be used.
    """
    reject_oversized_index(path)
    with open_media(path) as container:
        video = choose_video(container, path).stream
        start_s, end_s = _span(container, video)
        is_streamed = container.format.name in STREAMED
        return RecordingPart(
            container.format.name,
            tuple(_parameters(stream, is_streamed) for stream in joined_streams(container)),
            start_s,
            end_s,
            _created_s(container, video),
            _timecode_s(container, float(video.average_rate or video.guessed_rate or 25)),
        )


def joined_streams(container: InputContainer) -> list[Stream]:
    """Return the streams to join: video without cover art and thumbnails, audio, and texts such as DJI's telemetry."""
    video = [stream for stream in container.streams.video if not stream.disposition & STILL_IMAGES]
    texts = [stream for stream in container.streams.subtitles if stream.codec_context.name == "mov_text"]
    return sorted([*video, *container.streams.audio, *texts], key=lambda stream: stream.index)


def _timestamp_checks(a: RecordingPart, b: RecordingPart, *, certain_names: bool) -> Iterator[bool]:
    """Yield whether each kind of time stamp that both files have confirms it."""
    if a.container in STREAMED:
        gap_s = (b.start_s - a.end_s + _WRAP_S / 2) % _WRAP_S - _WRAP_S / 2
        yield abs(gap_s) <= _CLOCK_TOLERANCE_S
    elif b.start_s > _CLOCK_TOLERANCE_S:
        yield abs(b.start_s - a.end_s) <= _CLOCK_TOLERANCE_S
    if a.created_s is not None and b.created_s is not None:
        passed_s = b.created_s - a.created_s
        starts, ends = passed_s - a.duration_s, passed_s - b.duration_s  # cameras write the start or the end
        # GoPro writes the start of the whole recording into every chapter.
        yield min(abs(starts), abs(ends)) <= _CREATION_TOLERANCE_S or (certain_names and passed_s == 0)
    if a.timecode_s is not None and b.timecode_s is not None:
        off_s = (b.timecode_s - a.timecode_s - a.duration_s + _DAY_S / 2) % _DAY_S - _DAY_S / 2
        if abs(off_s) > _TIMECODE_TOLERANCE_S:
            yield certain_names and a.timecode_s == b.timecode_s
        elif certain_names:  # else it may count over all takes on a memory card ("rec run"), which proves nothing
            yield True


def _span(container: InputContainer, video: VideoStream) -> tuple[float, float]:
    base = float(video.time_base or 0)
    if video.start_time is not None and video.duration is not None and base:
        return video.start_time * base, (video.start_time + video.duration) * base
    start_s = (container.start_time or 0) / av.time_base
    return start_s, start_s + (container.duration or 0) / av.time_base


def _parameters(stream: Stream, is_streamed: bool) -> tuple[Any, ...]:
    """Return what must be equal in all parts.

    MPEG streams repeat the decoder configuration, and a part may start between two, so theirs is left out.
    """
    context = stream.codec_context
    setup = b"" if is_streamed or context is None else bytes(context.extradata or b"")
    common = (stream.type, context and context.name, setup)
    if isinstance(stream, VideoStream):
        return (*common, stream.width, stream.height, stream.format and stream.format.name)
    if isinstance(stream, AudioStream):
        return (*common, stream.rate, stream.layout.name, stream.format.name)
    return common


def _created_s(container: InputContainer, video: VideoStream) -> float | None:
    created = container.metadata.get("creation_time") or video.metadata.get("creation_time")
    try:
        return datetime.fromisoformat(created).timestamp() if created else None
    except ValueError:
        return None


def _timecode_s(container: InputContainer, fps: float) -> float | None:
    """Return SMPTE ST 12-1 time code in seconds; drop-frame code omits two numbers a minute, except every tenth."""
    timecode = next((s.metadata["timecode"] for s in container.streams if "timecode" in s.metadata), "")
    match = _TIMECODE.fullmatch(timecode or container.metadata.get("timecode", ""))
    if match is None:
        return None
    hours, minutes, seconds, frames = (int(match[n]) for n in (1, 2, 3, 5))
    minutes += hours * 60
    number = (minutes * 60 + seconds) * round(fps) + frames
    if match[4] != ":":
        number -= (minutes - minutes // 10) * 2 * round(fps / 30)
    return number / fps
