"""Moments: a few output frames with the faces in them, kept small while they go by.

So none needs to be decoded again for the contact sheet, and memory does not grow with the recording.
"""

from __future__ import annotations

import shutil
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.cpu.small_sdr import SdrLook
from engines.files import make_folder, open_new
from engines.frames import Frame, Rect, on_host
from pipeline.errors import StorageError
from pipeline.people import Row, Side, Source, Tile
from pipeline.segments.tracks_file import SIDES

COUNT = 12
FOLDER = "preview"
FRAME_HEIGHT = 264
FACE_SIZE = 146

_MARGIN = 1.9  # side of a face's square, in larger sides of its box
_QUALITY = 94

Image = NDArray[np.uint8]  # BGR, shape (height, width, 3)


@dataclass(frozen=True, slots=True, eq=False)
class FaceShot:
    """A tile's face, ``FACE_SIZE`` square, or where none is known the whole tile; and where it came from."""

    frame: Image
    source: Source


@dataclass(frozen=True, slots=True, eq=False)
class Thumbnail:
    """One output frame, ``PICTURE_HEIGHT`` high, at ``t`` seconds, and the two faces in it."""

    t: float
    frame: Image
    faces: dict[Side, FaceShot]


class ThumbnailStore:
    """Keeps moments as files in ``folder``; a resumed job finds those of earlier attempts.

    Args:
        duration_s: as the source's header says; None keeps nothing.
        look: makes SDR of the frames where they are P010.
        done_t: time of the last frame that earlier attempts have finished; None where there is none.
    """

    def __init__(
        self,
        folder: Path,
        duration_s: float | None,
        *,
        done_t: float | None = None,
        count: int = COUNT,
        look: SdrLook | None = None,
    ) -> None:
        self._folder = folder
        self._look = look
        self._times = [(n + 0.5) / count * duration_s for n in range(count)] if duration_s else []
        self._next = 0 if done_t is None else bisect_right(self._times, done_t)

    def offer(self, frame: Frame, row: Row) -> None:
        """Take an output frame where it is the first from one of the wanted times on."""
        if self._next == len(self._times) or row.t < self._times[self._next]:
            return
        while self._next < len(self._times) and self._times[self._next] <= row.t:
            self._next += 1
        make_folder(self._folder)
        _write(self._folder, moment_of(_half_bgr(on_host(frame), self._look), row))


def forget_moments(folder: Path) -> None:
    """What was kept is not what the video shows any more."""
    shutil.rmtree(folder, ignore_errors=True)


def kept_moments(folder: Path) -> list[Thumbnail]:
    """Those moments of which everything can still be read, oldest first."""
    return [moment for path in sorted(folder.glob("*-picture.jpg")) if (moment := _read(path)) is not None]


def moment_of(frame: Image, row: Row) -> Thumbnail:
    """The moment of a whole output frame in BGR, of any size."""
    width = round(FRAME_HEIGHT * frame.shape[1] / frame.shape[0])
    small = _resized(frame, width, FRAME_HEIGHT)
    half = frame.shape[1] // 2
    tiles = (frame[:, :half], row.left), (frame[:, half:], row.right)
    return Thumbnail(row.t, small, {side: _face(*tile) for side, tile in zip(SIDES, tiles, strict=True)})


def _face(shown: Image, tile: Tile) -> FaceShot:
    if tile.face is None or tile.source in ("frozen", "placeholder"):
        square = _square(shown, Rect(0, 0, shown.shape[1], shown.shape[0]), 1.0)
    else:
        square = _square(shown, _in_tile(tile.face, tile.crop, shown.shape[1], shown.shape[0]), _MARGIN)
    return FaceShot(_resized(square, FACE_SIZE, FACE_SIZE), tile.source)


def _in_tile(face: Rect, crop: Rect, width: int, height: int) -> Rect:
    """From pixels of the source frame to those of the tile that shows ``crop`` of it."""
    x, y = width / crop.w, height / crop.h
    return Rect((face.x - crop.x) * x, (face.y - crop.y) * y, face.w * x, face.h * y)


def _square(frame: Image, box: Rect, margin: float) -> Image:
    """The square around the box, moved where it would leave the frame."""
    height, width = frame.shape[:2]
    side = max(8, min(round(max(box.w, box.h) * margin), width, height))
    left = min(max(0, round(box.cx - side / 2)), width - side)
    top = min(max(0, round(box.cy - side / 2)), height - side)
    return frame[top : top + side, left : left + side]


def _resized(frame: Image, width: int, height: int) -> Image:
    shrinks = frame.shape[0] >= height
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(frame, (width, height), interpolation=how).astype(np.uint8, copy=False)


def _half_bgr(frame: Frame, look: SdrLook | None) -> Image:
    """The frame in BGR, half as wide and high: enough for the sheet, and shrinking planes is cheap."""
    y, uv = (
        cv2.resize(plane, (plane.shape[1] // 2, plane.shape[0] // 2), interpolation=cv2.INTER_AREA)
        for plane in (frame.y, frame.uv)
    )
    if look is not None:
        return look.bgr(np.asarray(y), np.asarray(uv))
    return cv2.cvtColorTwoPlane(y, uv, cv2.COLOR_YUV2BGR_NV12).astype(np.uint8, copy=False)


def _write(folder: Path, moment: Thumbnail) -> None:
    """The frame comes last: its name tells that the moment is complete."""
    stem = f"{round(moment.t * 1000):012d}"
    for side, face in moment.faces.items():
        write_jpeg(folder / f"{stem}-{side}-{face.source}.jpg", face.frame, _QUALITY)
    write_jpeg(folder / f"{stem}-picture.jpg", moment.frame, _QUALITY)


def _read(path: Path) -> Thumbnail | None:
    stem = path.name.removesuffix("-picture.jpg")
    faces: dict[Side, FaceShot] = {}
    for side in SIDES:
        for file in path.parent.glob(f"{stem}-{side}-*.jpg"):
            shot = read_jpeg(file)
            if shot is not None:
                faces[side] = FaceShot(shot, _source(file))
    frame = read_jpeg(path)
    return Thumbnail(int(stem) / 1000, frame, faces) if frame is not None and len(faces) == len(SIDES) else None


def _source(file: Path) -> Source:
    source: Source = file.stem.rpartition("-")[2]  # type: ignore[assignment]  # _write has put it there
    return source


def read_jpeg(path: Path) -> Image | None:
    """The frame in a file; None where a power cut has left none."""
    data = np.fromfile(path, np.uint8)
    frame = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    return None if frame is None else frame.astype(np.uint8, copy=False)


def write_jpeg(path: Path, frame: Image, quality: int) -> None:
    """Write a frame.

    Raises:
        StorageError: it could not be made.
        OSError: the storage failed.
    """
    with open_new(path) as file:
        file.write(jpeg(frame, quality))


def jpeg(frame: Image, quality: int) -> bytes:
    """A frame as JPEG.

    Raises:
        StorageError: it could not be made.
    """
    done, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise StorageError("A preview frame could not be made.")
    return data.tobytes()
