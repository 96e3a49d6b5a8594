"""The interface to everything that the analysis reads from frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engines.frames import Frame, Rect, Size
from pipeline.detection.region import Region
from pipeline.people import Face


class BatchFinder(Protocol):
    """Finds faces and reads luma in batches of frames; an ``Observer`` asks it."""

    def look(
        self, frames: Sequence[Frame], wanted: Sequence[bool], thumbnail_size: Size
    ) -> tuple[NDArray[np.uint8], list[tuple[Face, ...] | None]]:
        """Return thumbnails of all frames, (N, height, width), and the faces of those that are wanted."""
        ...

    def complete(
        self, frames: Sequence[Frame], wanted: Sequence[bool], found: Sequence[tuple[Face, ...] | None]
    ) -> list[tuple[Face, ...] | None]:
        """Return the faces of the frames that are wanted, and of no others; ``found`` are those known already."""
        ...

    def begin_luma(self, frame: Frame, size: Size) -> Callable[[], NDArray[np.uint8]]:
        """Begin to make a frame's luma, averaged by area; the returned function returns it, shape (height, width)."""
        ...


class Finder(BatchFinder, Protocol):
    """Looks closer at single frames, too: at frames (``FaceFinder``), or at a table of what was found in them.

    Attributes:
        can_embed: whether faces can be compared.
    """

    can_embed: bool

    def find_close(self, frame: Frame, part: Rect, score: float) -> tuple[Face, ...]:
        """Return the faces in a part of a frame, given in pixels of the canvas, with at least this score."""
        ...

    def region(self, frame: Frame, part: Rect) -> Region:
        """Return a part of a frame, given in pixels of the canvas."""
        ...

    def in_frame(self, frame: Frame, box: Rect) -> Rect:
        """Return a box of the canvas in pixels of the displayed frame."""
        ...

    def embed(self, faces: Sequence[tuple[Frame, Face]]) -> NDArray[np.float32]:
        """Return embeddings of shape (N, 128), one for each face."""
        ...
