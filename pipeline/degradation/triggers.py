"""What trips the breaker: errors on the way, and measurements at the end of a segment.

Want of disk space is no trip: less work would not help, and the job waits for it (``pipeline.degradation.space``).
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

import cv2

from engines.errors import DeviceOutOfMemoryError, ExplainedError, VramGuardError, causes
from pipeline.degradation.level_ladder import Trip, TripKind
from pipeline.settings import DegradationSettings

_CV_NO_MEMORY = -4  # cv::Error::StsNoMem
_BAD_ALLOC = ("std::bad_alloc", "bad allocation")  # how ONNX Runtime passes a C++ allocator's refusal on


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """What is known of the work on a finished segment.

    Attributes:
        replaced: pictures that could not be decoded.
        latency_s: median of the time that all stages together spent on a picture, reading and writing files left out.
        strain: why the device carries more than it should.
    """

    frames: int
    replaced: int
    latency_s: float
    strain: str | None = None


def trip_of(error: BaseException) -> Trip | None:
    """The trip behind an error, None where it is none: then less work would not help."""
    for cause in causes(error):
        kind = _kind(cause)
        if kind is not None:
            return Trip(kind, error.message if isinstance(error, ExplainedError) else _words(cause))
    return None


def _kind(error: BaseException) -> TripKind | None:
    if isinstance(error, VramGuardError):
        return TripKind.VRAM_GUARD
    if isinstance(error, DeviceOutOfMemoryError) or _is_host_memory(error):
        return TripKind.OUT_OF_MEMORY
    return None


def _is_host_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    if isinstance(error, cv2.error):
        return bool(getattr(error, "code", None) == _CV_NO_MEMORY)
    return any(words in str(error) for words in _BAD_ALLOC)


def _words(error: BaseException) -> str:
    what = "The host ran out of memory"
    return f"{what}: {error}" if str(error) else f"{what}."


def judge(facts: SegmentFacts, settings: DegradationSettings) -> Trip | None:
    """The trip that a finished segment shows, the most urgent where there are several."""
    if facts.strain is not None:
        return Trip(TripKind.VRAM_GUARD, facts.strain)
    share = facts.replaced / max(1, facts.frames)
    if share >= settings.decoder_error_share:
        return Trip(TripKind.DECODER_ERRORS, f"{share:.0%} of the pictures of a segment could not be decoded")
    if facts.latency_s > settings.frame_latency_s:
        allowed = f"{settings.frame_latency_s:g} s are allowed"
        words = f"the stages work {facts.latency_s:.0f} s on each picture; {allowed}"
        return Trip(TripKind.FRAME_LATENCY, words)
    return None
