"""The detection table of a part: everything that the analysis asks of single frames, without the frames.

An uncompressed NumPy archive, and a file of chips beside it. It lives for seconds and is read once, so compression
would cost more than it saves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engines.frames import Frame, Rect, Size
from pipeline.detection.observer import THUMBNAIL_SIZE
from pipeline.errors import PipelineError
from pipeline.people import Face
from pipeline.splitting.chips import Chip, ChipKey, FiledChips, write_chips

Faces: TypeAlias = tuple[Face, ...]

_CHIPS = "chips.raw"
_FACE_VALUES = 16  # box, score, five landmarks, scale


class DamagedTableError(PipelineError):
    """A table is not what its writer wrote."""

    code = "PART_DAMAGED"
    remedy = "Nothing to do: the part is worked on again."
    retryable = True


@dataclass(frozen=True, slots=True, eq=False)
class RecordedFrame(Frame):
    """A frame of a table: it has a size and a time, and no pixels.

    Attributes:
        source_pts: as decoded; ``pts`` may differ after a change of the frame rate.
    """

    source_pts: int = 0


@dataclass(slots=True)
class DetectionTable:
    """What was found in the frames of a part.

    Attributes:
        frames: oldest first.
        thumbnails: of the frames that were analysed, (height, width), by pts.
        faces: of the frames on which the detector ran, by pts.
        luma: samples for panels, by pts and size.
        chips: (3, 150, 150) RGB, of faces that an embedding may be made of, by pts and face.
    """

    frames: list[Frame] = field(default_factory=list)
    thumbnails: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    faces: dict[int, Faces] = field(default_factory=dict)
    luma: dict[tuple[int, Size], NDArray[np.uint8]] = field(default_factory=dict)
    chips: Mapping[ChipKey, Chip] = field(default_factory=dict)

    def write(self, path: Path) -> str:
        """Write it to a file, and its chips beside it; return the file's SHA-256."""
        checksums = write_chips(path.with_name(_CHIPS), list(self.chips.values()))
        with path.open("wb") as file:
            np.savez(file, **self._arrays(checksums))
        return _digest(path)

    def _arrays(self, checksums: Sequence[int]) -> dict[str, Any]:
        found = [(pts, face) for pts, faces in self.faces.items() for face in faces]
        chips = list(self.chips)
        arrays: dict[str, Any] = {
            "frames": np.array([_frame_values(frame) for frame in self.frames], np.int64).reshape(-1, 7),
            "thumbnail_pts": np.array(list(self.thumbnails), np.int64),
            "thumbnails": _stacked(list(self.thumbnails.values()), THUMBNAIL_SIZE[::-1]),
            "looked": np.array(list(self.faces), np.int64),
            "face_pts": np.array([pts for pts, _ in found], np.int64),
            "faces": _face_array([face for _, face in found]),
            "chip_pts": np.array([pts for pts, _ in chips], np.int64),
            "chip_faces": _face_array([face for _, face in chips]),
            "chip_checksums": np.array(checksums, np.uint32),
            "luma_keys": np.array([[pts, *size] for pts, size in self.luma], np.int64).reshape(-1, 3),
        }
        return arrays | {f"luma_{n}": image for n, image in enumerate(self.luma.values())}


def read_table(path: Path, sha256: str) -> DetectionTable:
    """Read a table.

    Raises:
        DamagedTableError: it is missing, or not the one with this digest.
    """
    try:
        if _digest(path) != sha256:
            raise DamagedTableError(f"the detection table {path.parent.name} is not what its worker wrote")
        return _table(path)
    except (OSError, ValueError) as error:
        raise DamagedTableError(f"the detection table {path.parent.name} cannot be read: {error}") from error


def _table(path: Path) -> DetectionTable:
    with np.load(path, allow_pickle=False) as arrays:
        found: dict[int, list[Face]] = {int(pts): [] for pts in arrays["looked"]}
        for pts, values in zip(arrays["face_pts"].tolist(), arrays["faces"].tolist(), strict=True):
            found[pts].append(_face(values))
        chip_faces = [_face(values) for values in arrays["chip_faces"].tolist()]
        chip_keys = list(zip(arrays["chip_pts"].tolist(), chip_faces, strict=True))
        luma_keys = arrays["luma_keys"].tolist()
        return DetectionTable(
            frames=[_recorded(values) for values in arrays["frames"].tolist()],
            thumbnails=dict(zip(arrays["thumbnail_pts"].tolist(), arrays["thumbnails"], strict=True)),
            faces={pts: tuple(faces) for pts, faces in found.items()},
            luma={(pts, (w, h)): arrays[f"luma_{n}"] for n, (pts, w, h) in enumerate(luma_keys)},
            chips=FiledChips(path.with_name(_CHIPS), chip_keys, arrays["chip_checksums"].tolist()),
        )


def recorded(frame: Frame) -> RecordedFrame:
    """Return a frame without its pixels."""
    luma = _no_pixels(frame.height, frame.width)
    chroma = _no_pixels((frame.height + 1) // 2, (frame.width + 1) // 2, 2)
    return RecordedFrame(luma, chroma, frame.pts, frame.duration, frame.replaced, frame.display, frame.pts)


def _no_pixels(*shape: int) -> NDArray[np.uint8]:
    return np.broadcast_to(np.zeros(1, np.uint8), shape)


def _stacked(images: Sequence[NDArray[np.uint8]], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.stack(images) if images else np.empty((0, *shape), np.uint8)


def _frame_values(frame: Frame) -> list[int]:
    display = frame.display or (0, 0)
    return [frame.pts, frame.duration, frame.replaced, frame.width, frame.height, *display]


def _recorded(values: list[int]) -> RecordedFrame:
    pts, duration, replaced, width, height, *display = values
    shown = (display[0], display[1]) if display[0] else None
    luma, chroma = _no_pixels(height, width), _no_pixels((height + 1) // 2, (width + 1) // 2, 2)
    return RecordedFrame(luma, chroma, pts, duration, bool(replaced), shown, pts)


def _face_array(faces: Sequence[Face]) -> NDArray[np.float64]:
    return np.array([_face_values(face) for face in faces], np.float64).reshape(-1, _FACE_VALUES)


def _face_values(face: Face) -> list[float]:
    box = face.box
    return [box.x, box.y, box.w, box.h, face.score, *(c for point in face.landmarks for c in point), face.scale]


def _face(values: list[float]) -> Face:
    x, y, w, h, score, *rest = values
    points, scale = rest[:-1], rest[-1]
    return Face(Rect(x, y, w, h), score, tuple(zip(points[::2], points[1::2], strict=True)), scale)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
