"""Two tiles side by side, or one, composed on the GPU: all frames of a batch in one launch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from engines.cpu.compose import check_crop
from engines.cuda.device_frames import frame_bytes, frame_of, split
from engines.cuda.extend import extend_tile
from engines.cuda.kernels import MOST_TILES, TILES
from engines.cuda.stream_protocol import DeviceArray, DeviceWork
from engines.extension import part_of_tile
from engines.frames import Frame
from engines.protocols import Composition, TileSource

_COLUMNS, _ROWS, _WARPS = 32, 32, 8  # of a thread block, as in compose.cu
_SIDES = 2
_BATCH = MOST_TILES // _SIDES


class CudaCompositor:
    """Draws as ``engines.cpu.compose.CpuCompositor`` documents, with 32-bit floats throughout.

    The planes of a result are contiguous, chroma right behind luma in memory.
    """

    name = "cuda"

    def __init__(self, stream: DeviceWork, width: int = 1920, height: int = 1080) -> None:
        if width % 4 or height % 2:
            raise ValueError(f"a frame of {width}x{height} has no two tiles with whole chroma samples")
        self._stream = stream
        self._width, self._height = width, height

    def compose(self, left: TileSource, right: TileSource | None, pts: int, duration: int) -> Frame:
        """Draw one frame.

        Raises:
            ValueError: a crop is empty or reaches outside its frame.
        """
        return self.compose_batch([Composition(left, right, pts, duration)])[0]

    def compose_batch(self, compositions: Sequence[Composition]) -> list[Frame]:
        """Draw frames, in one launch per sixteen of the same layout.

        Raises:
            ValueError: a crop is empty or reaches outside its frame.
        """
        runs = (list(run) for _, run in groupby(compositions, key=lambda c: c.right is None))
        parts = (run[n : n + _BATCH] for run in runs for n in range(0, len(run), _BATCH))
        return [frame for part in parts for frame in self._draw(part)]

    def _draw(self, compositions: Sequence[Composition]) -> list[Frame]:
        """Draw frames of the same layout."""
        size = frame_bytes(self._width, self._height)
        memory = self._stream.empty((len(compositions), size))
        tiles = [tile for c in compositions for tile in (c.left, c.right) if tile is not None]
        across = len(tiles) // len(compositions)
        draw_tiles(self._stream, tiles, memory, self._width, self._height, across=across)
        self._extend(tiles, memory, across)
        return [
            Frame(*split(image, self._width, self._height), c.pts, c.duration, replaced=c.replaced)
            for c, image in zip(compositions, memory, strict=True)
        ]

    def _extend(self, tiles: Sequence[TileSource], memory: DeviceArray, across: int) -> None:
        """Draw what crops leave of their tiles, ``across`` of which are side by side in each frame."""
        width = self._width // across
        for n, tile in enumerate(tiles):
            if tile.crop is not None and tile.picture is not None:
                y, uv = split(memory[n // across], self._width, self._height)
                column = n % across * width
                extend_tile(self._stream, tile, (y[:, column:], uv[:, column // 2 :]), width, self._height)


def draw_tiles(
    stream: DeviceWork, tiles: Sequence[TileSource], memory: object, width: int, height: int, *, across: int
) -> None:
    """Draw tiles into frames of ``width`` x ``height``, ``across`` of them side by side in each."""
    described = np.zeros((), TILES)
    described["at"][: len(tiles)] = [_described(stream, tile, width // across, height) for tile in tiles]
    luma_rows, chroma_rows = -(-height // _ROWS), -(-height // 2 // _ROWS)
    grid = (-(-(width // across) // _COLUMNS), luma_rows + chroma_rows, len(tiles))
    stream.launch(
        "compose", grid, (_COLUMNS, _WARPS), described, memory, np.int32(width), np.int32(height), np.int32(across)
    )


def _described(stream: DeviceWork, tile: TileSource, width: int, height: int) -> tuple[object, ...]:
    """Return the values of ``kernels.TILE``; a crop without width is a placeholder."""
    frame, crop = tile.frame, tile.crop
    image = frame_of(stream, (frame.y, frame.uv))
    if crop is None:
        return image, 0.0, 0.0, 0.0, 0.0, 0, 0, width, height
    check_crop(crop, frame)
    part = part_of_tile(tile.picture, width, height)
    return image, crop.x, crop.y, crop.w, crop.h, part.left, part.top, part.width, part.height
