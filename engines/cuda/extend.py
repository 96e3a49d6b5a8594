"""Fills on the GPU what a crop leaves of its tile; ``engines.extension`` defines with what."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np

from engines.cuda.device_frames import DevicePlanes, frame_of
from engines.cuda.kernels import EXTENSION
from engines.cuda.stream_protocol import DeviceWork
from engines.extension import COLUMNS, ROWS, cell_edges, part_of_tile
from engines.protocols import TileSource

_PLANES = 3
_THREADS = 128  # of a cell, as in extend.cu
_BLOCK = 32, 8  # threads that fill a tile, four luma samples each


def extend_tile(stream: DeviceWork, tile: TileSource, planes: DevicePlanes, width: int, height: int) -> None:
    """Fill a tile around the part that its crop fills.

    Args:
        tile: has a crop.
        planes: of the output, beginning with the tile's first sample.
        width, height: of the tile.
    """
    y, uv = planes
    described = _described(stream, tile, width, height)
    cells = stream.empty((_PLANES, ROWS, COLUMNS), np.float32)
    stream.launch("extension_cells", (COLUMNS, ROWS, _PLANES), (_THREADS,), described, cells)
    grid = -(-width // 2 // _BLOCK[0]), -(-height // 2 // _BLOCK[1])
    pitch, *size = (np.int32(value) for value in (y.strides[0], width, height))
    stream.launch("extend", grid, _BLOCK, described, cells, y, uv, pitch, *size)


def _described(stream: DeviceWork, tile: TileSource, width: int, height: int) -> np.ndarray:
    frame, crop = tile.frame, tile.crop
    assert crop is not None
    part = part_of_tile(tile.picture, width, height)
    described = np.zeros((), EXTENSION)
    described["frame"] = frame_of(stream, (frame.y, frame.uv))
    luma = crop, part, width, height
    chroma = crop.scaled(0.5, 0.5), part.halved(), width // 2, height // 2
    for n, (of_plane, plane) in enumerate(((luma, frame.y), (chroma, frame.uv))):
        described["across"][n], described["down"][n] = cell_edges(*of_plane, plane.shape[1], plane.shape[0])
    for name, value in zip(("left", "top", "width", "height"), astuple(part), strict=True):
        described[name] = value
    return described
