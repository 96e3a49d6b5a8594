"""The parts of a recording: spans of whole segments."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from engines.frames import MediaInfo
from pipeline.rendering.frame_rate import OutputRate

LEAST_SEGMENTS = 2  # of a part: each decodes up to two keyframe intervals more than it yields
PARTS_PER_WORKER = 3  # at least, so that workers end at about the same time
_EXACT_CONTAINERS = ("mp4", "mov", "matroska", "webm")  # whose index gives the exact time of every frame


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive segments.

    Attributes:
        index: of the part, from 0.
        first_segment, end_segment: numbers of segments; the latter is that of the next part.
        from_pts: no frame of the part is earlier.
        to_pts: pts of the next part; None: the end of the stream.
    """

    index: int
    first_segment: int
    end_segment: int
    from_pts: int
    to_pts: int | None


def obstacle(rate: OutputRate) -> str:
    """Return why a recording is not split, as part of a sentence; "" if it can be."""
    if not any(name in rate.source.container for name in _EXACT_CONTAINERS):
        return f"files of the kind {rate.source.container} cannot be cut exactly"
    if rate.is_constant or rate.thinned_from_fps is not None:
        return "its frame rate is changed"
    if not duration_s(rate.info):
        return "its length is unknown"
    if rate.source.video.interlaced:
        return "it is interlaced"
    return ""


def duration_s(info: MediaInfo) -> float:
    """Return the length of a recording by its header, 0 if that does not give it."""
    return info.video.duration_s or info.duration_s or 0.0


def plan_parts(
    info: MediaInfo, start_pts: int, next_pts: int, *, segment_s: float, chunk_s: float, workers: int
) -> list[Part]:
    """Return the parts of the rest of a recording.

    Args:
        start_pts: of the first frame of the recording.
        next_pts: of the first frame of the rest, which begins a segment.
        segment_s: length of a segment.
        chunk_s: length of a part, if there are enough for all workers.
        workers: number of workers that share the parts.
    """
    ticks = Fraction(segment_s) / info.video.time_base
    first = math.floor((next_pts - start_pts) / ticks)
    end = max(first + 1, math.ceil(duration_s(info) / segment_s - 1e-6))
    even = (end - first) // (PARTS_PER_WORKER * max(1, workers))
    length = max(LEAST_SEGMENTS, min(round(chunk_s / segment_s), even))
    firsts = list(range(first, end, length))
    if len(firsts) > 1 and end - firsts[-1] < LEAST_SEGMENTS:
        firsts.pop()
    begins = [next_pts, *(start_pts + math.ceil(number * ticks) for number in firsts[1:])]
    ends = [*begins[1:], None]
    return [
        Part(index, number, following, begin, stop)
        for index, (number, following, begin, stop) in enumerate(
            zip(firsts, [*firsts[1:], end], begins, ends, strict=True)
        )
    ]
