"""Face chips in a file of their own: few of many are ever needed, so they are read one by one."""

from __future__ import annotations

import math
import os
import weakref
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from engines.models.face_embedding import CHIP_SIZE
from pipeline.people import Face

Chip: TypeAlias = NDArray[np.uint8]
ChipKey: TypeAlias = tuple[int, Face]  # pts and face

_SHAPE = (3, CHIP_SIZE, CHIP_SIZE)
_CHIP_BYTES = math.prod(_SHAPE)


class FiledChips(Mapping[ChipKey, Chip]):
    """Chips of shape (3, 150, 150), RGB, in a file. One that is damaged or cannot be read counts as missing.

    The file is not mapped: where a share fails, that would end the process in place of an error.

    Args:
        keys: of the chips, in the order of the file.
        checksums: CRC-32 of each.

    Raises:
        OSError, ValueError: the file is missing or too short.
    """

    def __init__(self, path: Path, keys: Sequence[ChipKey], checksums: Sequence[int]) -> None:
        self._places = {key: n for n, key in enumerate(keys)}
        self._checksums = checksums
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)
        if os.fstat(self._file).st_size < len(keys) * _CHIP_BYTES:
            raise ValueError("the file of chips is too short")

    def __getitem__(self, key: ChipKey) -> Chip:
        place = self._places[key]
        try:
            pixels = os.pread(self._file, _CHIP_BYTES, place * _CHIP_BYTES)
        except OSError as error:
            raise KeyError(key) from error
        if zlib.crc32(pixels) != self._checksums[place]:
            raise KeyError(key)
        return np.frombuffer(pixels, np.uint8).reshape(_SHAPE)

    def __iter__(self) -> Iterator[ChipKey]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def write_chips(path: Path, chips: Sequence[Chip]) -> list[int]:
    """Write chips to a file; return the CRC-32 of each."""
    checksums: list[int] = []
    with path.open("wb") as file:
        for chip in chips:
            pixels = chip.tobytes()
            checksums.append(zlib.crc32(pixels))
            file.write(pixels)
    return checksums
