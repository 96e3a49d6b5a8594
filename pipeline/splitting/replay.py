"""Replays detection tables: the same batches and the same answers as from the frames themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from engines.frames import ColorTags, Frame, FrameBatch, Rect, Size
from pipeline.detection.face_detector import FaceFinder
from pipeline.detection.region import Region
from pipeline.people import Face
from pipeline.splitting.frame_reader import FrameReader
from pipeline.splitting.table import DetectionTable, Faces, RecordedFrame

_KEPT_TABLES = 3  # of which a frame may wait for its decision


class TableDecoder:
    """Yields the frames of tables in the place of decoded ones. Satisfies ``engines.protocols.Decoder``.

    Args:
        tables: in order of time; waits for the next one.
    """

    name = "table"
    replaced_frames = 0
    truncated = False
    cpu_fallback = False
    surface_width = surface_height = 0
    color = ColorTags()

    def __init__(self, tables: Iterator[DetectionTable], time_base: Fraction) -> None:
        self._tables = tables
        self._time_base = time_base
        self.recent: list[DetectionTable] = []

    def batches(self, start_pts: int | None = None, size: int = 8) -> Iterator[FrameBatch]:
        """Yield all frames from ``start_pts`` on."""
        for table in self._tables:
            self.recent = [*self.recent, table][-_KEPT_TABLES:]
            frames = [frame for frame in table.frames if start_pts is None or frame.pts >= start_pts]
            for n in range(0, len(frames), size):
                yield FrameBatch(tuple(frames[n : n + size]), self._time_base)

    def close(self) -> None:
        """Forget the tables."""
        self.recent = []


class ReplayFinder:
    """Answers from tables what a ``FaceFinder`` would answer; what they lack is decoded again.

    Attributes:
        misses: number of questions that no table answers.
    """

    def __init__(self, finder: FaceFinder, decoder: TableDecoder, reader: FrameReader) -> None:
        self._finder = finder
        self._decoder = decoder
        self._reader = reader
        self.can_embed = finder.can_embed
        self.misses = 0

    def look(
        self, frames: Sequence[Frame], wanted: Sequence[bool], thumbnail_size: Size
    ) -> tuple[NDArray[np.uint8], list[Faces | None]]:
        thumbnails = np.stack([self._thumbnail(frame, thumbnail_size) for frame in frames])
        return thumbnails, self.complete(frames, wanted, [None] * len(frames))

    def complete(
        self, frames: Sequence[Frame], wanted: Sequence[bool], found: Sequence[Faces | None]
    ) -> list[Faces | None]:
        return [
            (known if known is not None else self._faces(frame)) if is_wanted else None
            for frame, is_wanted, known in zip(frames, wanted, found, strict=True)
        ]

    def begin_luma(self, frame: Frame, size: Size) -> Callable[[], NDArray[np.uint8]]:
        if not isinstance(frame, RecordedFrame):
            return self._finder.begin_luma(frame, size)
        for table in reversed(self._decoder.recent):
            if (luma := table.luma.get((frame.source_pts, size))) is not None:
                return lambda: luma
        return self._finder.begin_luma(self._again(frame), size)

    def find_close(self, frame: Frame, part: Rect, score: float) -> Faces:
        return self._finder.find_close(self._again(frame), part, score)

    def region(self, frame: Frame, part: Rect) -> Region:
        return self._finder.region(self._again(frame), part)

    def in_frame(self, frame: Frame, box: Rect) -> Rect:
        return self._finder.in_frame(frame, box)

    def embed(self, faces: Sequence[tuple[Frame, Face]]) -> NDArray[np.float32]:
        return self._finder.embed_chips(np.stack([self._chip(frame, face) for frame, face in faces]))

    def _thumbnail(self, frame: Frame, size: Size) -> NDArray[np.uint8]:
        pts = _source_pts(frame)
        for table in reversed(self._decoder.recent):
            if (image := table.thumbnails.get(pts)) is not None:
                return image
        (image,), _ = self._finder.look([self._again(frame)], [False], size)
        return np.asarray(image)

    def _faces(self, frame: Frame) -> Faces:
        pts = _source_pts(frame)
        for table in reversed(self._decoder.recent):
            if (faces := table.faces.get(pts)) is not None:
                return faces
        return self._finder.find([self._again(frame)])[0]

    def _chip(self, frame: Frame, face: Face) -> NDArray[np.uint8]:
        key = _source_pts(frame), face
        for table in reversed(self._decoder.recent):
            if (chip := table.chips.get(key)) is not None:
                return chip
        return np.asarray(self._finder.chips([(self._again(frame), face)])[0])

    def _again(self, frame: Frame) -> Frame:
        if not isinstance(frame, RecordedFrame):
            return frame
        self.misses += 1
        decoded = self._reader.frame(frame.source_pts)
        return replace(decoded, pts=frame.pts, duration=frame.duration)


def _source_pts(frame: Frame) -> int:
    return frame.source_pts if isinstance(frame, RecordedFrame) else frame.pts
