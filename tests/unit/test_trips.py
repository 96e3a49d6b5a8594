"""Which errors and measurements are trips, and of which kind."""

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
from pipeline.breaker import TripKind
from pipeline.durable import storage_errors
from pipeline.errors import DiskFullError, JobStopped, StorageError
from pipeline.settings import DegradationSettings
from pipeline.trips import SegmentFacts, judge, low_disk, trip_of

SETTINGS = DegradationSettings(disk_low_bytes=0, decoder_error_share=0.25, frame_latency_s=60)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DeviceOutOfMemoryError("m"), TripKind.OUT_OF_MEMORY),
        (MemoryError(), TripKind.OUT_OF_MEMORY),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), TripKind.OUT_OF_MEMORY),
        (RuntimeError("Exception during initialization: std::bad_alloc"), TripKind.OUT_OF_MEMORY),
        (VramGuardError("m"), TripKind.VRAM_GUARD),
        (DiskFullError("m"), TripKind.DISK_LOW),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), TripKind.DISK_LOW),
    ],
)
def test_errors_that_less_work_may_avoid(error: Exception, kind: TripKind) -> None:
    trip = trip_of(error)
    assert trip is not None
    assert trip.kind is kind
    assert trip.reason


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
        ValueError("m"),
    ],
)
def test_errors_that_it_may_not(error: Exception) -> None:
    assert trip_of(error) is None


def test_a_trip_is_found_behind_other_errors() -> None:
    error = DeviceUnavailableError("the kernels do not run")
    error.__cause__ = MemoryError("out of memory to allocate")
    assert trip_of(error).kind is TripKind.OUT_OF_MEMORY  # type: ignore[union-attr]


def test_opencv_that_gets_no_memory() -> None:
    with pytest.raises(cv2.error) as caught:
        cv2.resize(np.zeros((1, 1), np.uint8), (2**30, 2**30))
    assert trip_of(caught.value).kind is TripKind.OUT_OF_MEMORY  # type: ignore[union-attr]


def test_a_full_disk_as_the_system_says_it(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError) as caught, storage_errors("writing"), Path("/dev/full").open("wb", 0) as full:
        full.write(b"x")
    assert trip_of(caught.value).reason.startswith("writing failed")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        (SegmentFacts(frames=100, replaced=25, latency_s=1), TripKind.DECODER_ERRORS),
        (SegmentFacts(frames=100, replaced=0, latency_s=61), TripKind.FRAME_LATENCY),
        (SegmentFacts(frames=100, replaced=100, latency_s=61, strain="90% full"), TripKind.VRAM_GUARD),
        (SegmentFacts(frames=100, replaced=24, latency_s=60), None),
    ],
)
def test_what_a_segment_shows(tmp_path: Path, facts: SegmentFacts, kind: TripKind | None) -> None:
    trip = judge(facts, tmp_path, SETTINGS)
    assert (trip and trip.kind) == kind


def test_little_free_space(tmp_path: Path) -> None:
    assert low_disk(tmp_path, SETTINGS) is None
    low = low_disk(tmp_path, SETTINGS.model_copy(update={"disk_low_bytes": 2**50}))
    assert low is not None
    assert low.kind is TripKind.DISK_LOW
    assert "MiB are free" in low.reason
