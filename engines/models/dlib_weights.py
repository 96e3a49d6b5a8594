"""Read a network's layers from a file of dlib, without dlib.

dlib's headers define the format (serialize.h, dnn/core.h, dnn/layers.h): an integer is a byte with the
sign in its highest bit and the number of bytes in its low bits, then those bytes, lowest first; a float is two
integers, mantissa and binary exponent; a string is its length, then its characters; a tensor is a version, four
dimensions, then raw 32-bit floats. Layers follow each other from input to output, each under its name.
What lies between them is training state and is skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from engines.errors import ModelUnavailableError

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class InputImage:
    """The mean colour (R, G, B) that is taken off before a division by 256, and the image's size."""

    mean: tuple[float, float, float]
    height: int
    width: int


@dataclass(frozen=True, slots=True, eq=False)
class Convolution:
    """``filters`` has shape (out, in, height, width), ``biases`` (out,). Strides and padding alike on both axes."""

    filters: Floats
    biases: Floats
    stride: int
    padding: int


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """Per channel gamma * x + beta: batch normalisation after training."""

    gamma: Floats
    beta: Floats


@dataclass(frozen=True, slots=True)
class Pool:
    """``window`` 0 means the whole image."""

    kind: str  # "max" or "avg"
    window: int
    stride: int
    padding: int


@dataclass(frozen=True, slots=True)
class Relu:
    pass


@dataclass(frozen=True, slots=True)
class AddSkip:
    """Adds the output of an earlier layer; the smaller of the two is padded with zeros at its far ends."""


@dataclass(frozen=True, slots=True, eq=False)
class FullyConnected:
    """``weights`` has shape (inputs, outputs); no bias."""

    weights: Floats


Layer: TypeAlias = InputImage | Convolution | Affine | Pool | Relu | AddSkip | FullyConnected


def read_layers(content: bytes) -> list[Layer]:
    """Return all layers of a serialised network, input first.

    Raises:
        ModelUnavailableError: the content does not have dlib's format.
    """
    layers: list[Layer] = []
    position = 0
    try:
        while (match := _NAMED.search(content, position)) is not None:
            cursor = _Cursor(content, match.end())
            layers.append(_READERS[match[0][2:].decode()](cursor))
            position = cursor.position
    except (IndexError, ValueError) as error:
        raise ModelUnavailableError(f"dlib's file is damaged near byte {position}") from error
    return layers


class _Cursor:
    """Reads dlib's primitive types one after the other."""

    def __init__(self, content: bytes, position: int) -> None:
        self._content = content
        self.position = position

    def integer(self) -> int:
        head = self._content[self.position]
        count = head & 0x0F
        if not 1 <= count <= 8 or head & 0x70:
            raise ValueError(f"{head:#x} does not begin an integer")
        start = self.position + 1
        self.position = start + count
        value = int.from_bytes(self._content[start : self.position], "little")
        return -value if head & 0x80 else value

    def integers(self, count: int) -> list[int]:
        return [self.integer() for _ in range(count)]

    def real(self) -> float:
        mantissa, exponent = self.integers(2)
        return float(mantissa * 2.0**exponent)

    def tensor(self) -> Floats:
        """Return a tensor in the shape (samples, channels, rows, columns)."""
        version, *dims = self.integers(5)
        if version != 2:
            raise ValueError(f"tensor version {version}")
        values = np.frombuffer(self._content, "<f4", int(np.prod(dims)), self.position)
        self.position += values.nbytes
        return values.astype(np.float32).reshape(dims)


def _read_input(cursor: _Cursor) -> InputImage:
    red, green, blue = cursor.real(), cursor.real(), cursor.real()
    return InputImage((red, green, blue), *cursor.integers(2))


def _read_affine(cursor: _Cursor) -> Affine:
    gamma, beta = np.split(cursor.tensor().ravel(), 2)
    return Affine(gamma, beta)


def _read_fully_connected(cursor: _Cursor) -> FullyConnected:
    outputs, inputs = cursor.integers(2)
    return FullyConnected(cursor.tensor().reshape(inputs, outputs))


def _read_convolution(cursor: _Cursor) -> Convolution:
    values = cursor.tensor().ravel()
    count, *geometry = cursor.integers(7)
    size, stride, padding = _square(geometry)
    filters = values[:-count].reshape(count, -1, size, size)
    return Convolution(filters, values[-count:], stride, padding)


def _read_pool(kind: str, cursor: _Cursor) -> Pool:
    return Pool(kind, *_square(cursor.integers(6)))


def _square(pairs: list[int]) -> tuple[int, int, int]:
    """Return window, stride and padding, each given for rows and for columns."""
    if pairs[0::2] != pairs[1::2]:
        raise ValueError(f"rows and columns differ: {pairs}")
    window, stride, padding = pairs[0::2]
    return window, stride, padding


_READERS: dict[str, Callable[[_Cursor], Layer]] = {
    "input_rgb_image_sized": _read_input,
    "con_4": _read_convolution,
    "affine_": _read_affine,
    "max_pool_2": partial(_read_pool, "max"),
    "avg_pool_2": partial(_read_pool, "avg"),
    "relu_": lambda _: Relu(),
    "add_prev_": lambda _: AddSkip(),
    "fc_2": _read_fully_connected,
}
_NAMED = re.compile(b"|".join(b"\\x01" + re.escape(bytes([len(name)]) + name.encode()) for name in _READERS), re.DOTALL)
