"""Which errors and measurements are triggers, and of which kind."""

from __future__ import annotations

import errno
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.errors import (
    DecodeFailedError,
    DeviceLostError,
    DeviceOutOfMemoryError,
    DeviceUnavailableError,
    EncoderBusyError,
    EncoderMissingError,
    VramGuardError,
)
from pipeline.degradation.level_ladder import TriggerKind
from pipeline.degradation.triggers import SegmentFacts, trigger_in, trigger_of
from pipeline.errors import DiskFullError, JobStopped, StorageError
from pipeline.settings import DegradationSettings

SETTINGS = DegradationSettings(decoder_error_share=0.25, frame_latency_s=60)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DeviceOutOfMemoryError("m"), TriggerKind.OUT_OF_MEMORY),
        (MemoryError(), TriggerKind.OUT_OF_MEMORY),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), TriggerKind.OUT_OF_MEMORY),
        (RuntimeError("Exception during initialization: std::bad_alloc"), TriggerKind.OUT_OF_MEMORY),
        (VramGuardError("m"), TriggerKind.VRAM_GUARD),
    ],
)
def test_errors_that_less_work_may_avoid(error: Exception, kind: TriggerKind) -> None:
    trigger = trigger_of(error)
    assert trigger is not None
    assert trigger.kind is kind
    assert trigger.reason


@pytest.mark.parametrize(
    "error",
    [
        DeviceLostError("m"),
        EncoderBusyError("m"),
        EncoderMissingError("m"),
        DecodeFailedError("m"),
        StorageError("m"),
        JobStopped("m"),
        OSError(errno.EIO, "Input/output error"),
        DiskFullError("m"),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        ValueError("m"),
    ],
)
def test_errors_that_it_may_not(error: Exception) -> None:
    assert trigger_of(error) is None


def test_a_trigger_is_found_behind_other_errors() -> None:
    error = DeviceUnavailableError("the kernels do not run")
    error.__cause__ = MemoryError("out of memory to allocate")
    assert trigger_of(error).kind is TriggerKind.OUT_OF_MEMORY  # type: ignore[union-attr]


def test_opencv_that_gets_no_memory() -> None:
    with pytest.raises(cv2.error) as caught:
        cv2.resize(np.zeros((1, 1), np.uint8), (2**30, 2**30))
    assert trigger_of(caught.value).kind is TriggerKind.OUT_OF_MEMORY  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        (SegmentFacts(frames=100, replaced=25, latency_s=1), TriggerKind.DECODER_ERRORS),
        (SegmentFacts(frames=100, replaced=0, latency_s=61), TriggerKind.FRAME_LATENCY),
        (SegmentFacts(frames=100, replaced=100, latency_s=61, pressure_reason="90% full"), TriggerKind.VRAM_GUARD),
        (SegmentFacts(frames=100, replaced=24, latency_s=60), None),
    ],
)
def test_what_a_segment_shows(facts: SegmentFacts, kind: TriggerKind | None) -> None:
    trigger = trigger_in(facts, SETTINGS)
    assert (trigger and trigger.kind) == kind


def test_the_operators_table_has_a_row_for_each_kind() -> None:
    text = (Path(__file__).parents[4] / "docs" / "operators.md").read_text(encoding="utf-8")
    assert [kind for kind in TriggerKind if f"| `{kind}` |" not in text] == []
