"""The contact sheet: a few pictures of the finished video on one page, each with its time."""

from __future__ import annotations

import math
import shutil
from bisect import bisect_left
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.cpu.snapshots import Snapshot, snapshots
from engines.frames import Frame, on_host
from pipeline.durable import write_durably
from pipeline.errors import StorageError

COUNT = 12
FOLDER = "preview"

_COLUMNS = 3
_CELL_HEIGHT = 270
_GAP = 6
_QUALITY = 88
_BACKGROUND, _INK = (24, 24, 24), (255, 255, 255)


class PreviewPictures:
    """Keeps small copies of some output pictures while they go by, so that none is decoded again for the sheet.

    Each is a file in ``folder``; a resumed job finds those of earlier attempts.

    Args:
        duration_s: as the source's header says; None keeps nothing.
    """

    def __init__(self, folder: Path, duration_s: float | None, *, count: int = COUNT) -> None:
        self._folder = folder
        self._times = [(n + 0.5) / count * duration_s for n in range(count)] if duration_s else []
        self._next: int | None = None

    def offer(self, picture: Frame, t: float) -> None:
        """Take the output picture of ``t`` seconds where it is the first after one of the wanted times."""
        if self._next is None:
            self._next = bisect_left(self._times, t)  # a resumed job has the earlier ones
        if self._next == len(self._times) or t < self._times[self._next]:
            return
        while self._next < len(self._times) and self._times[self._next] <= t:
            self._next += 1
        self._folder.mkdir(exist_ok=True)
        (self._folder / f"{round(t * 1000):012d}.jpg").write_bytes(_jpeg(_small(on_host(picture))))


def forget_pictures(folder: Path) -> None:
    """What was kept is not what the video shows any more."""
    shutil.rmtree(folder, ignore_errors=True)


def write_preview(video: Path, out: Path, *, kept: Path | None = None, count: int = COUNT) -> None:
    """Write a JPEG with ``count`` pictures of a finished MP4; a shorter video gives fewer.

    Args:
        kept: folder of ``PreviewPictures``; where that has too few, pictures are decoded from the video.

    Raises:
        MediaError: the video cannot be read or decoded.
        StorageError: the picture could not be made.
        OSError: the storage failed.
    """
    shots = _kept(kept) if kept is not None else []
    if len(shots) != count:
        shots = list(snapshots(video, count, _CELL_HEIGHT))
    write_durably(out, _jpeg(_sheet([_stamped(s) for s in shots])))


def _kept(folder: Path) -> list[Snapshot]:
    files = sorted(path for path in folder.glob("*.jpg") if path.stat().st_size)  # a power cut may leave empty ones
    pictures = [(int(f.stem) / 1000, cv2.imdecode(np.fromfile(f, np.uint8), cv2.IMREAD_COLOR)) for f in files]
    return [Snapshot(t, picture.astype(np.uint8, copy=False)) for t, picture in pictures if picture is not None]


def _small(picture: Frame) -> NDArray[np.uint8]:
    """BGR of shape (height of a cell, width, 3)."""
    width = round(_CELL_HEIGHT * picture.width / picture.height / 2) * 2
    y = cv2.resize(picture.y, (width, _CELL_HEIGHT), interpolation=cv2.INTER_AREA)
    uv = cv2.resize(picture.uv, (width // 2, _CELL_HEIGHT // 2), interpolation=cv2.INTER_AREA)
    return cv2.cvtColorTwoPlane(y, uv, cv2.COLOR_YUV2BGR_NV12).astype(np.uint8, copy=False)


def _jpeg(picture: NDArray[np.uint8]) -> bytes:
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise StorageError("The preview picture could not be made.")
    return data.tobytes()


def _stamped(snapshot: Snapshot) -> NDArray[np.uint8]:
    """The picture with its time in the lower left corner."""
    cell = np.ascontiguousarray(snapshot.bgr)
    text, font, scale = clock_text(snapshot.t_s), cv2.FONT_HERSHEY_SIMPLEX, 0.55
    (width, height), below = cv2.getTextSize(text, font, scale, 1)
    bottom = cell.shape[0] - 1
    cv2.rectangle(cell, (0, bottom - height - below - 6), (width + 12, bottom), _BACKGROUND, cv2.FILLED)
    cv2.putText(cell, text, (6, bottom - below - 1), font, scale, _INK, 1, cv2.LINE_AA)
    return cell


def _sheet(cells: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """The pictures row by row, with a dark frame around each."""
    height, width = cells[0].shape[:2]
    columns = min(_COLUMNS, len(cells))
    rows = math.ceil(len(cells) / columns)
    sheet = np.full((rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, 3), _BACKGROUND, np.uint8)
    for k, cell in enumerate(cells):
        y, x = _GAP + k // columns * (height + _GAP), _GAP + k % columns * (width + _GAP)
        sheet[y : y + height, x : x + width] = cell
    return sheet


def clock_text(t_s: float) -> str:
    """Seconds as people write them: ``1:02:03.4``, or ``2:03.4`` within the first hour."""
    tenths = math.floor(t_s * 10 + 0.5)
    minutes, seconds = divmod(tenths / 10, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{seconds:04.1f}" if hours else f"{minutes}:{seconds:04.1f}"
