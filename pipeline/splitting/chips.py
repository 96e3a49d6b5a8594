"""Face chips in a file of their own: few of many are ever needed, so they are read one by one."""

from __future__ import annotations

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


class FiledChips(Mapping[ChipKey, Chip]):
    """Chips of shape (3, 150, 150), RGB, in a file. A damaged one counts as missing.

    Args:
        keys: of the chips, in the order of the file.
        checksums: CRC-32 of each.

    Raises:
        OSError, ValueError: the file is missing or too short.
    """

    def __init__(self, path: Path, keys: Sequence[ChipKey], checksums: Sequence[int]) -> None:
        self._places = {key: n for n, key in enumerate(keys)}
        self._checksums = checksums
        self._pixels = np.memmap(path, np.uint8, "r", shape=(len(keys), *_SHAPE)) if keys else np.empty((0, *_SHAPE))

    def __getitem__(self, key: ChipKey) -> Chip:
        place = self._places[key]
        chip = np.array(self._pixels[place])
        if zlib.crc32(chip.tobytes()) != self._checksums[place]:
            raise KeyError(key)
        return chip

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
