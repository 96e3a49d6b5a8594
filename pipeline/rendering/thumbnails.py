"""Collects thumbnails of a few output frames and of the faces in them while the job renders.

So no frame needs to be decoded again for the contact sheet, and memory does not grow with the recording.
"""

from __future__ import annotations

import shutil
from bisect import bisect_right
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.files import make_folder, open_new
from engines.frames import Frame, Rect, on_host
from engines.video.sdr_preview import SdrPreview
from pipeline.camera.extension import picture_in_tile
from pipeline.errors import StorageError
from pipeline.people import Row, Side, Source, Tile
from pipeline.segments.tracks_file import SIDES

COUNT = 12
FRAME_HEIGHT = 264
FACE_SIZE = 146

_MARGIN = 1.9  # side of a face's square, in larger sides of its box
_QUALITY = 94
_PICTURE = "-picture.jpg"

Image = NDArray[np.uint8]  # BGR, shape (height, width, 3)


@dataclass(frozen=True, slots=True, eq=False)
class FaceThumbnail:
    """The face in a tile, ``FACE_SIZE`` pixels square, or the whole tile if no face is known; and the tile's source."""

    image: Image
    source: Source


@dataclass(frozen=True, slots=True, eq=False)
class Thumbnail:
    """One output frame, ``FRAME_HEIGHT`` pixels high, at ``t`` seconds, and the two faces in it."""

    t: float
    frame: Image
    faces: dict[Side, FaceThumbnail]


class ThumbnailStore:
    """Keeps thumbnails as files in ``folder``; a resumed job finds those of earlier attempts.

    Args:
        duration_s: from the source's header; None keeps nothing.
        done_t: time of the last frame that earlier attempts have finished, in seconds; None if there is none.
        preview: converts P010 frames to SDR; None if frames are NV12.
    """

    def __init__(
        self,
        folder: Path,
        duration_s: float | None,
        *,
        done_t: float | None = None,
        count: int = COUNT,
        preview: SdrPreview | None = None,
    ) -> None:
        self._folder = folder
        self._preview = preview
        self._times = [(n + 0.5) / count * duration_s for n in range(count)] if duration_s else []
        self._next = 0 if done_t is None else bisect_right(self._times, done_t)

    def offer(self, frame: Frame, row: Row) -> None:
        """Keep an output frame if it is the first at or after one of the wanted times."""
        if self._next == len(self._times) or row.t < self._times[self._next]:
            return
        while self._next < len(self._times) and self._times[self._next] <= row.t:
            self._next += 1
        make_folder(self._folder)
        _write(self._folder, thumbnail_of(_half_bgr(on_host(frame), self._preview), row))


def clear_thumbnails(folder: Path) -> None:
    """Remove the thumbnails: they no longer show what the video shows."""
    shutil.rmtree(folder, ignore_errors=True)


def move_thumbnails(folder: Path, target: Path) -> None:
    """Move all thumbnails of a folder, if there is one, into that of the job."""
    files = sorted(folder.glob("*.jpg"), key=lambda path: path.name.endswith(_PICTURE))  # see ``_write``
    if files:
        make_folder(target)
    for path in files:
        path.replace(target / path.name)


def load_thumbnails(folder: Path) -> list[Thumbnail]:
    """Return the thumbnails whose files can all be read, oldest first."""
    found = (_read(path) for path in sorted(folder.glob(f"*{_PICTURE}")))
    return [thumbnail for thumbnail in found if thumbnail is not None]


def thumbnail_of(frame: Image, row: Row) -> Thumbnail:
    """Return the thumbnail of a whole output frame in BGR, of any size."""
    width = round(FRAME_HEIGHT * frame.shape[1] / frame.shape[0])
    small = _resized(frame, width, FRAME_HEIGHT)
    half = frame.shape[1] // 2
    tiles = (frame[:, :half], row.left), (frame[:, half:], row.right)
    if row.full is not None:
        tiles = (frame, replace(row.left, crop=row.full)), (frame, replace(row.right, crop=row.full))
    return Thumbnail(row.t, small, {side: _face(*tile) for side, tile in zip(SIDES, tiles, strict=True)})


def _face(shown: Image, tile: Tile) -> FaceThumbnail:
    if tile.face is None or tile.source in ("frozen", "placeholder"):
        square = _square(shown, Rect(0, 0, shown.shape[1], shown.shape[0]), 1.0)
    else:
        square = _square(shown, _in_tile(tile.face, tile.crop, shown.shape[1], shown.shape[0]), _MARGIN)
    return FaceThumbnail(_resized(square, FACE_SIZE, FACE_SIZE), tile.source)


def _in_tile(face: Rect, crop: Rect, width: int, height: int) -> Rect:
    """Convert a box from pixels of the source frame to those of the tile that shows ``crop`` of it."""
    picture = (picture_in_tile(crop, height / width) or Rect(0.0, 0.0, 1.0, 1.0)).scaled(width, height)
    x, y = picture.w / crop.w, picture.h / crop.h
    return Rect(picture.x + (face.x - crop.x) * x, picture.y + (face.y - crop.y) * y, face.w * x, face.h * y)


def _square(frame: Image, box: Rect, margin: float) -> Image:
    """Cut out the square around a box, moved to lie inside the frame."""
    height, width = frame.shape[:2]
    side = max(8, min(round(max(box.w, box.h) * margin), width, height))
    left = min(max(0, round(box.cx - side / 2)), width - side)
    top = min(max(0, round(box.cy - side / 2)), height - side)
    return frame[top : top + side, left : left + side]


def _resized(frame: Image, width: int, height: int) -> Image:
    shrinks = frame.shape[0] >= height
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(frame, (width, height), interpolation=how).astype(np.uint8, copy=False)


def _half_bgr(frame: Frame, preview: SdrPreview | None) -> Image:
    """Convert a frame to BGR of half its width and height: large enough for the sheet, and cheap."""
    y, uv = (
        cv2.resize(plane, (plane.shape[1] // 2, plane.shape[0] // 2), interpolation=cv2.INTER_AREA)
        for plane in (frame.y, frame.uv)
    )
    if preview is not None:
        return preview.bgr(np.asarray(y), np.asarray(uv))
    return cv2.cvtColorTwoPlane(y, uv, cv2.COLOR_YUV2BGR_NV12).astype(np.uint8, copy=False)


def _write(folder: Path, thumbnail: Thumbnail) -> None:
    """Write the faces and then the frame, whose presence shows that the thumbnail is complete."""
    stem = f"{round(thumbnail.t * 1000):012d}"
    for side, face in thumbnail.faces.items():
        write_jpeg(folder / f"{stem}-{side}-{face.source}.jpg", face.image, _QUALITY)
    write_jpeg(folder / f"{stem}{_PICTURE}", thumbnail.frame, _QUALITY)


def _read(path: Path) -> Thumbnail | None:
    stem = path.name.removesuffix(_PICTURE)
    faces: dict[Side, FaceThumbnail] = {}
    for side in SIDES:
        for file in path.parent.glob(f"{stem}-{side}-*.jpg"):
            shot = read_jpeg(file)
            if shot is not None:
                faces[side] = FaceThumbnail(shot, _source(file))
    frame = read_jpeg(path)
    return Thumbnail(int(stem) / 1000, frame, faces) if frame is not None and len(faces) == len(SIDES) else None


def _source(file: Path) -> Source:
    source: Source = file.stem.rpartition("-")[2]  # type: ignore[assignment]  # that _write has put into the name
    return source


def read_jpeg(path: Path) -> Image | None:
    """Read an image; return None if a power cut has damaged the file."""
    data = np.fromfile(path, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    return None if image is None else image.astype(np.uint8, copy=False)


def write_jpeg(path: Path, image: Image, quality: int) -> None:
    """Write an image as JPEG.

    Raises:
        StorageError: it could not be encoded.
        OSError: the storage failed.
    """
    with open_new(path) as file:
        file.write(jpeg(image, quality))


def jpeg(image: Image, quality: int) -> bytes:
    """Encode an image as JPEG.

    Raises:
        StorageError: it could not be made.
    """
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise StorageError("A preview image could not be made.")
    return data.tobytes()
