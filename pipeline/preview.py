"""The contact sheet: a few pictures of the finished video on one page, each with its time."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.cpu.snapshots import Snapshot, snapshots
from pipeline.errors import StorageError

_COLUMNS = 3
_CELL_HEIGHT = 270
_GAP = 6
_QUALITY = 88
_BACKGROUND, _INK = (24, 24, 24), (255, 255, 255)


def write_preview(video: Path, out: Path, *, count: int = 12) -> None:
    """Write a JPEG with ``count`` pictures of a finished MP4; a shorter video gives fewer.

    Raises:
        MediaError: the video cannot be read or decoded.
        StorageError: the picture could not be made.
        OSError: the storage failed.
    """
    sheet = _sheet([_stamped(s) for s in snapshots(video, count, _CELL_HEIGHT)])
    done, data = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise StorageError("The preview picture could not be made.")
    out.write_bytes(data.tobytes())


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
