"""Tone mapping on the CPU: FFmpeg's ``lut3d`` with a table of ``engines.tone_map``, in floats until the dither."""

from __future__ import annotations

import functools
import os
import tempfile

from av.filter import Graph
from av.video.frame import VideoFrame

from engines.cpu.graph import build_graph
from engines.frames import Size
from engines.tone_map import ToneSource, table

TEN_BIT_FORMAT = "p010le"
MOST_THREADS = 4  # the filters split a frame into bands; the result does not depend on their number
_FLAGS = "flags=bicubic+accurate_rnd+full_chroma_int"
_MATRICES = {1: "bt709", 5: "bt470", 6: "smpte170m", 7: "smpte240m"}  # H.273 to swscale; all others: BT.2020


def tone_mapping_graph(
    frame: VideoFrame, source: ToneSource, matrix: int, size: Size, rotation: list[tuple[str, str]]
) -> Graph:
    """Return a chain that makes limited-range BT.709 yuv420p of frames like ``frame``.

    Args:
        matrix: matrix coefficients of the frames, H.273.
        size: (width, height) to which they are scaled first.
        rotation: filters that make them upright, applied last.
    """
    with tempfile.NamedTemporaryFile("w", prefix="dualface-", suffix=".cube") as file:
        file.write(_text(source))
        file.flush()
        return build_graph(
            frame,
            [
                ("scale", _scale(size, matrix)), ("format", "gbrpf32le"),
                ("lut3d", f"file={_quoted(file.name)}:interp=tetrahedral"),
                ("scale", f"{_FLAGS}:sws_dither=bayer:out_range=limited:out_color_matrix=bt709"),
                ("format", "yuv420p"), *rotation,
            ],
            threads=min(MOST_THREADS, os.cpu_count() or 1),
        )  # fmt: skip


def ten_bit_graph(frame: VideoFrame, matrix: int, size: Size, rotation: list[tuple[str, str]]) -> Graph:
    """Return a chain that makes limited-range P010 with BT.2020's matrix; arguments as for ``tone_mapping_graph``."""
    scale = f"{_scale(size, matrix)}:out_range=limited:out_color_matrix=bt2020"
    return build_graph(frame, [("scale", scale), ("format", "yuv420p10le"), *rotation, ("format", TEN_BIT_FORMAT)])


def _scale(size: Size, matrix: int) -> str:
    return f"{size[0]}:{size[1]}:{_FLAGS}:in_color_matrix={_MATRICES.get(matrix, 'bt2020')}"


@functools.lru_cache(maxsize=2)
def _text(source: ToneSource) -> str:
    """Return the table as a .cube file (Adobe, Cube LUT Specification 1.0); red changes fastest."""
    values = table(source)
    rows = values.transpose(2, 1, 0, 3).reshape(-1, 3).tolist()
    lines = "\n".join(f"{r:.7g} {g:.7g} {b:.7g}" for r, g, b in rows)
    return f"LUT_3D_SIZE {len(values)}\n{lines}\n"


def _quoted(path: str) -> str:
    """Escape a file name for a list of libavfilter options."""
    return "".join(f"\\{c}" if c in "\\':[],;" else c for c in path)
