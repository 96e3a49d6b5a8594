"""Read a few frames of a finished video, evenly spaced or at given times, without decoding all of it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from engines.containers.demux import only_video, open_media
from engines.errors import DecodeFailedError
from engines.frames import Plane

_SNAP_SHARE = 0.25  # of the spacing: a keyframe this near is used instead
_FRAMES_TO_SKIP = 20  # per snapshot: in longer videos, frames that no other depends on are not decoded

WantedTimes: TypeAlias = Callable[[VideoStream, list[int]], list[int]]  # stream and keyframes -> ticks, rising


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """One frame: ``t_s`` seconds after the video's first, ``bgr`` of shape (height, width, 3)."""

    t_s: float
    bgr: Plane


def snapshots(path: Path, count: int, height: int) -> Iterator[Snapshot]:
    """Yield up to ``count`` different frames, oldest first, scaled to this height.

    Works on files with an index of all frames, such as MP4.

    Raises:
        MediaError: the file is not a video, or no frame can be decoded.
        OSError: the storage failed.
    """
    return _snapshots(path, height, count, lambda stream, keyframes: _spread_times(stream, keyframes, count))


def snapshots_at(path: Path, times_s: Sequence[float], height: int) -> Iterator[Snapshot]:
    """Yield the first frames at or after these times, which rise, as ``snapshots`` does."""

    def times(stream: VideoStream, _: list[int]) -> list[int]:
        start, ticks_per_s = stream.start_time or 0, 1 / (stream.time_base or 1)
        return [start + round(t * ticks_per_s) for t in times_s]

    return _snapshots(path, height, len(times_s), times)


def _snapshots(path: Path, height: int, count: int, times: WantedTimes) -> Iterator[Snapshot]:
    with open_media(path) as container:
        stream = only_video(container)
        stream.thread_type = "AUTO"
        if len(stream.index_entries) > count * _FRAMES_TO_SKIP:
            stream.codec_context.skip_frame = "NONREF"
        start = stream.start_time or 0
        found = 0
        for frame in _pick(container, stream, times):
            found += 1
            width = max(2, round(height * frame.width / frame.height / 2) * 2)
            t_s = float((frame.pts - start) * stream.time_base) if frame.pts is not None and stream.time_base else 0.0
            bgr = frame.to_ndarray(format="bgr24", width=width, height=height)
            yield Snapshot(t_s, bgr.astype(np.uint8, copy=False))
        if not found:
            raise DecodeFailedError("No frame of the finished video could be decoded.")


def _pick(container: InputContainer, stream: VideoStream, times: WantedTimes) -> Iterator[VideoFrame]:
    """Yield the first frames at or after the wanted times, each once."""
    keyframes = [e.timestamp for e in stream.index_entries if e.is_keyframe]
    here: int | None = None
    frames: Iterator[VideoFrame] = iter(())
    for time in times(stream, keyframes):
        before = bisect_right(keyframes, time)
        if before and (here is None or keyframes[before - 1] > here):
            container.seek(keyframes[before - 1], stream=stream)
            frames = container.decode(stream)
        elif here is not None and here >= time:
            continue
        frame = _first_from(frames, time)
        if frame is None:
            return
        here = frame.pts
        yield frame


def _first_from(frames: Iterator[VideoFrame], time: int) -> VideoFrame | None:
    """Return the first frame at or after a time, or the last of all."""
    frame = None
    for frame in frames:
        if frame.pts is not None and frame.pts >= time:
            break
    return frame


def _spread_times(stream: VideoStream, keyframes: list[int], count: int) -> list[int]:
    """Return the middles of ``count`` equal parts of the video, or keyframes near them, in ticks of the stream."""
    start = stream.start_time or 0
    spacing = (stream.duration or 0) / count
    times = [start + int((k + 0.5) * spacing) for k in range(count)]
    return [_snapped(time, keyframes, spacing * _SNAP_SHARE) for time in times]


def _snapped(time: int, keyframes: list[int], reach: float) -> int:
    nearest = min(keyframes, key=lambda k: abs(k - time), default=time)
    return nearest if abs(nearest - time) <= reach else time
