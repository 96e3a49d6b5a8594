"""Records what a finder finds into a detection table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from engines.frames import Frame, Size
from pipeline.detection.face_detector import FaceFinder
from pipeline.people import Face
from pipeline.splitting.chips import Chip, ChipKey
from pipeline.splitting.table import DetectionTable, Faces


class RecordingFinder:
    """Passes the questions of an ``Observer`` to a finder, and keeps the answers.

    Args:
        may_be_embedded: whether the analysis may want an embedding of a face.
    """

    def __init__(self, finder: FaceFinder, table: DetectionTable, may_be_embedded: Callable[[Face], bool]) -> None:
        self._finder = finder
        self._table = table
        self._chips: dict[ChipKey, Chip] = {}
        table.chips = self._chips
        self._may_be_embedded = may_be_embedded

    def look(
        self, frames: Sequence[Frame], wanted: Sequence[bool], thumbnail_size: Size
    ) -> tuple[NDArray[np.uint8], list[Faces | None]]:
        thumbnails, found = self._finder.look(frames, wanted, thumbnail_size)
        self._table.thumbnails.update((frame.pts, image) for frame, image in zip(frames, thumbnails, strict=True))
        self._keep(frames, found)
        return thumbnails, found

    def complete(
        self, frames: Sequence[Frame], wanted: Sequence[bool], found: Sequence[Faces | None]
    ) -> list[Faces | None]:
        complete = self._finder.complete(frames, wanted, found)
        self._keep(frames, complete)
        return complete

    def begin_luma(self, frame: Frame, size: Size) -> Callable[[], NDArray[np.uint8]]:
        begun = self._finder.begin_luma(frame, size)

        def finish() -> NDArray[np.uint8]:
            self._table.luma[frame.pts, size] = luma = begun()
            return luma

        return finish

    def _keep(self, frames: Sequence[Frame], found: Sequence[Faces | None]) -> None:
        fresh = [
            (frame, faces)
            for frame, faces in zip(frames, found, strict=True)
            if faces is not None and frame.pts not in self._table.faces
        ]
        self._table.faces.update((frame.pts, faces) for frame, faces in fresh)
        clear = [(frame, face) for frame, faces in fresh for face in faces if self._may_be_embedded(face)]
        if clear and self._finder.can_embed:
            chips = self._finder.chips(clear)
            keys = [(frame.pts, face) for frame, face in clear]
            self._chips.update(zip(keys, chips, strict=True))
