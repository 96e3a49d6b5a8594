"""Chains of libavfilter filters."""

from __future__ import annotations

from av.filter import Graph
from av.video.frame import VideoFrame


def build_graph(frame: VideoFrame, filters: list[tuple[str, str]], *, threads: int = 1) -> Graph:
    """A chain of libavfilter filters that takes pictures like ``frame``."""
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
