"""A decoder of frames that are as bright as their number, and a finder whose answers come from that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from engines.frames import ColorTags, Frame, FrameBatch, Rect, Size
from pipeline.detection.region import Region
from pipeline.people import Face
from tests.support.still_images import nv12

STEP = 10  # ticks
TIME_BASE = Fraction(1, 100)


def frame(number: int) -> Frame:
    """Return a frame whose luma is ``number``."""
    made = nv12(np.zeros((36, 64, 3), np.uint8))
    return replace(made, y=np.full_like(made.y, number), pts=number * STEP, duration=STEP)


def face(number: int, x: float = 0.5) -> Face:
    return Face(Rect(number + x, 1 / 3, 20, 30), 0.9, tuple((number + x, float(k)) for k in range(5)))


class NumberedDecoder:
    """Yields ``count`` numbered frames. Satisfies ``engines.protocols.Decoder``."""

    name = "numbered"
    surface_width, surface_height, color = 64, 36, ColorTags()
    replaced_frames, truncated, cpu_fallback = 0, False, False

    def __init__(self, count: int, missing: Sequence[int] = ()) -> None:
        self._numbers = [number for number in range(count) if number not in missing]
        self.decoded = 0
        self.closed = False

    def batches(self, start_pts: int | None = None, size: int = 8) -> Iterator[FrameBatch]:
        numbers = [number for number in self._numbers if start_pts is None or number * STEP >= start_pts]
        for begin in range(0, len(numbers), size):
            frames = tuple(frame(number) for number in numbers[begin : begin + size])
            self.decoded += len(frames)
            yield FrameBatch(frames, TIME_BASE)

    def close(self) -> None:
        self.closed = True


class BrightnessFinder:
    """Answers all that an analysis may ask from the brightness of a frame. Has what is used of ``FaceFinder``."""

    can_embed = True

    def look(
        self, frames: Sequence[Frame], wanted: Sequence[bool], thumbnail_size: Size
    ) -> tuple[NDArray[np.uint8], list[tuple[Face, ...] | None]]:
        thumbnails = np.stack([self.begin_luma(frame, thumbnail_size)() for frame in frames])
        return thumbnails, self.complete(frames, wanted, [None] * len(frames))

    def complete(
        self, frames: Sequence[Frame], wanted: Sequence[bool], found: Sequence[tuple[Face, ...] | None]
    ) -> list[tuple[Face, ...] | None]:
        return [
            (known or self.find([frame])[0]) if is_wanted else None
            for frame, is_wanted, known in zip(frames, wanted, found, strict=True)
        ]

    def find(self, frames: Sequence[Frame]) -> list[tuple[Face, ...]]:
        return [(face(self._number(frame)), face(self._number(frame), 0.25)) for frame in frames]

    def find_close(self, frame: Frame, part: Rect, score: float) -> tuple[Face, ...]:
        return (face(self._number(frame), part.x),)

    def region(self, frame: Frame, part: Rect) -> Region:
        return Region.of(frame, part, (64, 36))

    def in_frame(self, frame: Frame, box: Rect) -> Rect:
        return box

    def begin_luma(self, frame: Frame, size: Size) -> Callable[[], NDArray[np.uint8]]:
        luma = np.full(size[::-1], self._number(frame), np.uint8)
        return lambda: luma

    def chips(self, faces: Sequence[tuple[Frame, Face]]) -> NDArray[np.uint8]:
        values = [self._number(frame) + 100 * (face.box.x % 1) for frame, face in faces]
        return np.stack([np.full((3, 150, 150), value, np.uint8) for value in values])

    def embed_chips(self, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        return chips.mean(axis=(1, 2, 3), dtype=np.float32)[:, None].repeat(128, 1)

    def embed(self, faces: Sequence[tuple[Frame, Face]]) -> NDArray[np.float32]:
        return self.embed_chips(self.chips(faces))

    @staticmethod
    def _number(frame: Frame) -> int:
        return int(frame.y[0, 0])
