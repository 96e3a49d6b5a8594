"""The CUDA kernels: sources, structures as NumPy types, and compilation with NVRTC."""

from __future__ import annotations

import functools
import importlib
from importlib import resources
from typing import Any

import numpy as np

from engines.extension import COLUMNS, ROWS

KERNELS = (
    "upright", "tone_mapped", "detector_input", "brighten", "thumbnails", "aligned_chips", "candidates", "compose",
    "extension_cells", "extend",
)  # fmt: skip
OPTIONS = ("--std=c++17",)
MOST_FRAMES, MOST_CHIPS, MOST_TILES = 32, 16, 32  # most per launch; as in the sources
CANDIDATE_FLOATS = 17

_SOURCES = ("frame.cuh", "upright.cu", "tone.cu", "preprocess.cu", "compose.cu", "extend.cu")

# Structures are laid out as a C compiler does it, and passed to the kernels by value.
FRAME = np.dtype(
    [("y", "u8"), ("uv", "u8"), ("y_pitch", "i4"), ("uv_pitch", "i4"), ("width", "i4"), ("height", "i4")], align=True
)
FRAMES = np.dtype([("at", FRAME, MOST_FRAMES)], align=True)
SURFACE = np.dtype(
    [
        ("y", "u8"), ("uv", "u8"), ("y_pitch", "i4"), ("uv_pitch", "i4"), ("width", "i4"), ("height", "i4"),
        ("wide", "i4"), ("clockwise_deg", "i4"), ("mirrored", "i4"),
        ("black", "f4"), ("luma_gain", "f4"), ("grey", "f4"), ("chroma_gain", "f4"),
    ],
    align=True,
)  # fmt: skip
TONE = np.dtype(
    [
        ("table", "u8"), ("size", "i4"), ("black", "f4"), ("luma_gain", "f4"), ("grey", "f4"), ("chroma_gain", "f4"),
        ("kr", "f4"), ("kb", "f4"),
    ],
    align=True,
)  # fmt: skip
CHIP = np.dtype(
    [("x0", "i4"), ("y0", "i4"), ("width", "i4"), ("height", "i4"), ("columns", "i4"), ("rows", "i4"),
     ("transform", "f4", 6)],
    align=True,
)  # fmt: skip
CHIPS = np.dtype([("at", CHIP, MOST_CHIPS)], align=True)
OUTPUTS = np.dtype(
    [("cls", "u8", 3), ("obj", "u8", 3), ("bbox", "u8", 3), ("kps", "u8", 3), ("priors", "i4", 3)], align=True
)
TILE = np.dtype(
    [
        ("frame", FRAME), ("x", "f8"), ("y", "f8"), ("w", "f8"), ("h", "f8"),
        ("left", "i4"), ("top", "i4"), ("width", "i4"), ("height", "i4"),
    ],
    align=True,
)  # fmt: skip
TILES = np.dtype([("at", TILE, MOST_TILES)], align=True)
EXTENSION = np.dtype(
    [
        ("frame", FRAME), ("across", "i4", (2, COLUMNS + 1)), ("down", "i4", (2, ROWS + 1)),
        ("left", "i4"), ("top", "i4"), ("width", "i4"), ("height", "i4"),
    ],
    align=True,
)  # fmt: skip


@functools.cache
def source() -> str:
    """Return all kernels as one translation unit."""
    folder = resources.files("engines.cuda") / "sources"
    return "\n".join((folder / name).read_text("utf-8") for name in _SOURCES)


def compiled() -> Any:
    """Return the kernels for the current GPU, by name. CuPy caches the machine code on disk and in memory."""
    module = importlib.import_module("cupy").RawModule(code=source(), options=OPTIONS)
    return {name: module.get_function(name) for name in KERNELS}
