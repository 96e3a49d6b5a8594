"""What is too large to be taken, judged from the header alone."""

from __future__ import annotations

from engines.frames import MediaInfo
from engines.settings import LimitsSettings
from pipeline.errors import TooLargeError, TooLongError


def check_limits(info: MediaInfo, limits: LimitsSettings) -> None:
    """Refuse a file before memory is spent on it.

    Raises:
        TooLargeError: the picture has more pixels than ``limits.pixels``.
        TooLongError: the recording is longer than ``limits.duration_s``.
    """
    video = info.video
    pixels = max(video.coded_width * video.coded_height, video.width * video.height)
    if pixels > limits.pixels:
        raise TooLargeError(
            f"The picture is {video.coded_width}x{video.coded_height}, which is {pixels:,} pixels; "
            f"at most {limits.pixels:,} are allowed."
        )
    if info.duration_s is not None and info.duration_s > limits.duration_s:
        raise TooLongError(
            f"The recording is {info.duration_s / 3600:.1f} hours long; "
            f"at most {limits.duration_s / 3600:.1f} are allowed."
        )
