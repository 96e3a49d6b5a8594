"""What a recording is, for the document: read from the file itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av

_TRANSFERS = {1: "BT.709", 4: "gamma 2.2", 6: "BT.601", 13: "sRGB", 14: "BT.2020", 16: "PQ", 18: "HLG"}


def facts_of(path: Path) -> dict[str, str]:
    """Container, video, audio, time base and colour; only the size of what is no media."""
    try:
        with av.open(str(path)) as container:
            video = "; ".join(_video(s) for s in container.streams.video)
            audio = "; ".join(_audio(s) for s in container.streams.audio)
            first = next(iter(container.streams.video), None)
            return {
                "container": f"{container.format.name.split(',')[0]} (.{path.suffix[1:]})",
                "video": video or "none",
                "audio": audio or "none",
                "time base": str(first.time_base) if first else "",
                "colour": _colour(first.codec_context) if first and first.codec_context else "",
            }
    except (av.FFmpegError, ValueError):
        return {"container": f"unreadable (.{path.suffix[1:]})"}


def _video(stream: Any) -> str:
    context = stream.codec_context
    return f"{context.name} {context.pix_fmt or '?'} {context.width}x{context.height}" if context else "unknown"


def _audio(stream: Any) -> str:
    context = stream.codec_context
    return f"{context.name} {context.layout.name} {context.sample_rate} Hz" if context else "unknown"


def _colour(context: Any) -> str:
    transfer = _TRANSFERS.get(int(context.color_trc), "untagged" if int(context.color_trc) == 2 else "other")
    return transfer + (", full range" if int(context.color_range) == 2 else "")
