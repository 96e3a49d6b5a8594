"""What trips the breaker: errors on the way, and measurements at the end of a segment."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

import cv2

from engines.errors import DeviceOutOfMemoryError, ExplainedError, VramGuardError, causes
from pipeline.breaker import Trip, TripKind
from pipeline.durable import FULL
from pipeline.errors import DiskFullError
from pipeline.settings import DegradationSettings

_MIB = 2**20
_CV_NO_MEMORY = -4  # cv::Error::StsNoMem
_BAD_ALLOC = ("std::bad_alloc", "bad allocation")  # how ONNX Runtime passes a C++ allocator's refusal on


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """What is known of the work on a finished segment.

    Attributes:
        replaced: pictures that could not be decoded.
        latency_s: median of the time that all stages together spent on a picture.
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
            return Trip(kind, error.message if isinstance(error, ExplainedError) else _words(kind, cause))
    return None


def _kind(error: BaseException) -> TripKind | None:
    if isinstance(error, VramGuardError):
        return TripKind.VRAM_GUARD
    if isinstance(error, DeviceOutOfMemoryError) or _is_host_memory(error):
        return TripKind.OUT_OF_MEMORY
    if isinstance(error, DiskFullError) or (isinstance(error, OSError) and error.errno in FULL):
        return TripKind.DISK_LOW
    return None


def _is_host_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    if isinstance(error, cv2.error):
        return bool(getattr(error, "code", None) == _CV_NO_MEMORY)
    return any(words in str(error) for words in _BAD_ALLOC)


def _words(kind: TripKind, error: BaseException) -> str:
    what = "The host ran out of memory" if kind is TripKind.OUT_OF_MEMORY else "The disk is full"
    return f"{what}: {error}" if str(error) else f"{what}."


def judge(facts: SegmentFacts, work_dir: Path, settings: DegradationSettings) -> Trip | None:
    """The trip that a finished segment shows, the most urgent where there are several."""
    if low := low_disk(work_dir, settings):
        return low
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


def low_disk(work_dir: Path, settings: DegradationSettings) -> Trip | None:
    """The trip of a disk with little space left."""
    stat = os.statvfs(work_dir)
    free = stat.f_bavail * stat.f_frsize
    if free >= settings.disk_low_bytes:
        return None
    words = f"{free // _MIB} MiB are free on the disk; {settings.disk_low_bytes // _MIB} MiB are needed"
    return Trip(TripKind.DISK_LOW, words)
