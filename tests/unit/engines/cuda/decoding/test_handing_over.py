"""Frames of a GPU's decoder: memory for several at a time, and the readers' work ordered behind each batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.cuda.decoding.decoder import GPUDecoder
from engines.media.probe import probe
from engines.settings import DeviceSettings
from tests.support.cuda_on_host import SoftwareCodec
from tests.support.kernel_emulation import EmulatedStream
from tests.support.synth import Clip

WIDTH, HEIGHT = 64, 48


class CountingStream(EmulatedStream):
    """Records the shapes that are allocated."""

    def __init__(self) -> None:
        super().__init__()
        self.allocated: list[tuple[int, ...]] = []

    def empty(self, shape: tuple[int, ...], dtype: Any = np.uint8) -> np.ndarray:
        self.allocated.append(shape)
        return super().empty(shape, dtype)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return Clip(WIDTH, HEIGHT, frames=20).write(tmp_path / "x.mp4")


def decoder(clip: Path, stream: EmulatedStream, **options: Any) -> GPUDecoder:
    return GPUDecoder(
        clip, probe(clip), max_surface_pixels=WIDTH * HEIGHT, stream=stream, device="emulated",
        settings=DeviceSettings(), open_codec=SoftwareCodec, refusal=None, **options,
    )  # fmt: skip


def test_memory_is_taken_for_eight_frames_at_a_time_and_no_frame_shares_it(clip: Path) -> None:
    stream = CountingStream()
    frames = [frame for batch in decoder(clip, stream).batches() for frame in batch.frames]
    assert len(frames) == 20
    assert stream.allocated == [(8, WIDTH * HEIGHT * 3 // 2)] * 3
    assert len({stream.address(frame.y) for frame in frames}) == 20
    assert all(stream.address(frame.uv) == stream.address(frame.y) + WIDTH * HEIGHT for frame in frames)


def test_memory_of_large_frames_is_taken_for_few_at_a_time(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.cuda.decoding.surfaces._MOST_BYTES", 2 * WIDTH * HEIGHT * 3 // 2 + 1)
    stream = CountingStream()
    list(decoder(clip, stream).batches())
    assert stream.allocated == [(2, WIDTH * HEIGHT * 3 // 2)] * 10


def test_readers_are_ordered_behind_each_batch_before_they_get_it(clip: Path) -> None:
    order: list[str] = []
    for batch in decoder(clip, EmulatedStream(), on_batch=lambda: order.append("ordered")).batches(size=8):
        order.append(f"{len(batch)} frames")
    assert order == ["ordered", "8 frames", "ordered", "8 frames", "ordered", "4 frames"]
