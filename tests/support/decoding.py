"""What decoders give, for comparison with each other."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from engines.cpu.decode import PyAvDecoder
from engines.frames import Frame
from engines.media.probe import probe
from tests.support.still_images import psnr


def all_of(decoder: Any, start_pts: int | None = None) -> list[Frame]:
    try:
        return [frame for batch in decoder.batches(start_pts) for frame in batch.frames]
    finally:
        decoder.close()


def assert_alike(frames: list[Frame], expected: list[Frame], least_db: float) -> None:
    assert [(f.pts, f.duration, f.replaced) for f in frames] == [(f.pts, f.duration, f.replaced) for f in expected]
    for frame, other in zip(frames, expected, strict=True):
        assert frame.y.shape == other.y.shape
        assert psnr(frame.y, other.y) > least_db
        assert psnr(frame.uv, other.uv) > least_db


UHD_PIXELS = 3840 * 2160


def decoded(path: Path, start_pts: int | None = None, max_surface_pixels: int = UHD_PIXELS) -> list[Frame]:
    decoder = PyAvDecoder(path, probe(path), max_surface_pixels=max_surface_pixels)
    return [frame for batch in decoder.batches(start_pts) for frame in batch.frames]


def assert_same_tail(path: Path, firsts: Iterable[int]) -> None:
    whole = decoded(path)
    for first in firsts:
        tail = decoded(path, whole[first].pts)
        assert [f.pts for f in tail] == [f.pts for f in whole[first:]]
        for a, b in zip(whole[first:], tail, strict=True):
            assert np.array_equal(a.y, b.y)
            assert np.array_equal(a.uv, b.uv)
            assert a.replaced == b.replaced
