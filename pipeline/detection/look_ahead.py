"""Detection ahead of the analysis, in a stage of its own: on a GPU, what the analysis asks for is then known already.

What is found in a frame depends on that frame alone, so this changes no result.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.frames import Frame, FrameBatch, Rect, Size
from pipeline.detection.face_detector import FaceFinder
from pipeline.detection.region import Region
from pipeline.people import Face
from pipeline.telemetry.timing import JobTelemetry

Faces = tuple[Face, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What is known of a frame: its thumbnail, and its faces unless they were not looked for."""

    thumbnail: NDArray[np.uint8]
    faces: Faces | None


class LookAhead:
    """A ``pipeline.detection.finder.Finder`` that looks at frames before it is asked about them.

    ``run`` works in one thread and the analysis in another. What ``run`` has not looked for is looked for when the
    analysis asks.

    Args:
        thumbnail_size: width and height of the thumbnails that the analysis asks for.
    """

    def __init__(self, finder: FaceFinder, thumbnail_size: Size, telemetry: JobTelemetry) -> None:
        self._finder = finder
        self._thumbnail_size = thumbnail_size
        self._telemetry = telemetry
        self._seen: dict[int, _Seen] = {}  # by pts, ascending
        self.can_embed = finder.can_embed

    def run(
        self, batches: Iterable[FrameBatch], may_be_due: Callable[[Sequence[Frame]], list[bool]]
    ) -> Iterator[FrameBatch]:
        """Look at the frames of each batch, and pass it on.

        Args:
            may_be_due: says on which of some consecutive frames the analysis may want to know the faces.
        """
        for batch in batches:
            begin = time.perf_counter()
            likely = may_be_due(batch.frames)
            thumbnails, found = self._finder.look(batch.frames, likely, self._thumbnail_size)
            for frame, thumbnail, faces in zip(batch.frames, thumbnails, found, strict=True):
                self._seen[frame.pts] = _Seen(thumbnail, faces)
            seconds = time.perf_counter() - begin
            self._telemetry.add("detect", seconds, 0)  # the analysis counts the frames
            self._telemetry.stats_collector.add_frame_time([frame.pts for frame in batch.frames], seconds)
            yield batch

    def look(
        self, frames: Sequence[Frame], wanted: Sequence[bool], thumbnail_size: Size
    ) -> tuple[NDArray[np.uint8], list[Faces | None]]:
        """Return thumbnails of all frames, (N, height, width), and the faces of those that are wanted."""
        self._forget_before(frames[0].pts)
        seen = [self._seen.get(frame.pts) for frame in frames]
        known = [one for one in seen if one is not None]
        if len(known) < len(frames) or thumbnail_size != self._thumbnail_size:
            return self._finder.look(frames, wanted, thumbnail_size)
        return np.stack([one.thumbnail for one in known]), self.complete(frames, wanted, [None] * len(frames))

    def complete(
        self, frames: Sequence[Frame], wanted: Sequence[bool], found: Sequence[Faces | None]
    ) -> list[Faces | None]:
        """Return the faces of the frames that are wanted, and of no others; ``found`` are those known already."""
        known = [self._known(frame) if faces is None else faces for frame, faces in zip(frames, found, strict=True)]
        return self._finder.complete(frames, wanted, known)

    def _known(self, frame: Frame) -> Faces | None:
        seen = self._seen.get(frame.pts)
        return None if seen is None else seen.faces

    def _forget_before(self, pts: int) -> None:
        while self._seen and (oldest := next(iter(self._seen))) < pts:
            del self._seen[oldest]

    def begin_luma(self, frame: Frame, size: Size) -> Callable[[], NDArray[np.uint8]]:
        return self._finder.begin_luma(frame, size)

    def find_close(self, frame: Frame, part: Rect, score: float) -> Faces:
        return self._finder.find_close(frame, part, score)

    def region(self, frame: Frame, part: Rect) -> Region:
        return self._finder.region(frame, part)

    def in_frame(self, frame: Frame, box: Rect) -> Rect:
        return self._finder.in_frame(frame, box)

    def embed(self, faces: Sequence[tuple[Frame, Face]]) -> NDArray[np.float32]:
        return self._finder.embed(faces)
