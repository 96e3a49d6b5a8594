"""Rejects recordings that are too large or too long, by their header and again while they are decoded."""

from __future__ import annotations

from collections.abc import Iterator

from engines.frames import FrameBatch, MediaInfo
from engines.settings import LimitsSettings
from pipeline.errors import TooLargeError, TooLongError


def check_limits(info: MediaInfo, limits: LimitsSettings) -> None:
    """Reject a file by its header, before memory is allocated for it.

    Raises:
        TooLargeError: the frame has more pixels than ``limits.pixels``.
        TooLongError: the recording is longer than ``limits.duration_s``.
    """
    video = info.video
    pixels = max(video.coded_width * video.coded_height, video.width * video.height)
    if pixels > limits.pixels:
        raise TooLargeError(
            f"The frame is {video.coded_width}x{video.coded_height}, which is {pixels:,} pixels; "
            f"at most {limits.pixels:,} are allowed."
        )
    if info.duration_s is not None and info.duration_s > limits.duration_s:
        raise _too_long(info.duration_s, limits)


def within_duration(batches: Iterator[FrameBatch], first_pts: int, limits: LimitsSettings) -> Iterator[FrameBatch]:
    """Yield batches as long as their frames end within ``limits.duration_s`` after ``first_pts``.

    Raises:
        TooLongError: a frame ends later, whatever the header says.
    """
    for batch in batches:
        last = batch.frames[-1]
        seconds = float((last.pts + last.duration - first_pts) * batch.time_base)
        if seconds > limits.duration_s:
            raise _too_long(seconds, limits)
        yield batch


def _too_long(seconds: float, limits: LimitsSettings) -> TooLongError:
    return TooLongError(
        f"The recording is {seconds / 3600:.1f} hours long; at most {limits.duration_s / 3600:.1f} are allowed."
    )
