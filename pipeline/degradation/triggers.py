"""Triggers of a lower level: errors during the work, and measurements at the end of a segment.

A lack of disk space is no trigger: less work would not help, so the job waits (``pipeline.degradation.space``).
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

import cv2

from engines.errors import DeviceOutOfMemoryError, ExplainedError, VramGuardError, causes
from pipeline.degradation.level_ladder import DegradationTrigger, TriggerKind
from pipeline.settings import DegradationSettings

_CV_NO_MEMORY = -4  # cv::Error::StsNoMem
_BAD_ALLOC = ("std::bad_alloc", "bad allocation")  # in messages of ONNX Runtime, if a C++ allocation fails


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """Measurements of a finished segment.

    Attributes:
        replaced: number of frames that could not be decoded.
        latency_s: median of the time that all stages together spent on a frame, without reading and writing files.
        pressure_reason: why the device is loaded above its limit; None if it is not.
    """

    frames: int
    replaced: int
    latency_s: float
    pressure_reason: str | None = None


def trigger_of(error: BaseException) -> DegradationTrigger | None:
    """Return the trigger behind an error; None if there is none, so that less work would not help."""
    for cause in causes(error):
        kind = _kind(cause)
        if kind is not None:
            return DegradationTrigger(kind, error.message if isinstance(error, ExplainedError) else _words(cause))
    return None


def _kind(error: BaseException) -> TriggerKind | None:
    if isinstance(error, VramGuardError):
        return TriggerKind.VRAM_GUARD
    if isinstance(error, DeviceOutOfMemoryError) or _is_host_memory(error):
        return TriggerKind.OUT_OF_MEMORY
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


def trigger_in(facts: SegmentFacts, settings: DegradationSettings) -> DegradationTrigger | None:
    """Return the trigger that the measurements of a segment show, the most urgent one of several; None if none."""
    if facts.pressure_reason is not None:
        return DegradationTrigger(TriggerKind.VRAM_GUARD, facts.pressure_reason)
    share = facts.replaced / max(1, facts.frames)
    if share >= settings.decoder_error_share:
        return DegradationTrigger(
            TriggerKind.DECODER_ERRORS, f"{share:.0%} of the frames of a segment could not be decoded"
        )
    if facts.latency_s > settings.frame_latency_s:
        allowed = f"{settings.frame_latency_s:g} s are allowed"
        words = f"the stages work {facts.latency_s:.0f} s on each frame; {allowed}"
        return DegradationTrigger(TriggerKind.FRAME_LATENCY, words)
    return None
