"""Build chains of libavfilter filters, and view the memory of frames."""

from __future__ import annotations

from typing import Any

import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from numpy.typing import NDArray


def samples_of(plane: VideoPlane, kind: type[np.generic]) -> NDArray[Any]:
    """Return a view of a plane's memory, shape (rows, samples in a row with padding)."""
    rows = np.frombuffer(memoryview(plane), kind)
    return rows.reshape(plane.height, plane.line_size // rows.itemsize)


def build_graph(frame: VideoFrame, filters: list[tuple[str, str]], *, threads: int = 1) -> Graph:
    """Return a chain of libavfilter filters for frames like ``frame``."""
    graph = Graph()
    graph.threads = threads
    source = graph.add(
        "buffer",
        f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base=1/1000:pixel_aspect=1/1"
        f":colorspace={int(frame.colorspace)}:range={int(frame.color_range)}",
    )
    nodes = [source, *(graph.add(name, args or None) for name, args in filters), graph.add("buffersink")]
    graph.link_nodes(*nodes).configure()
    return graph
