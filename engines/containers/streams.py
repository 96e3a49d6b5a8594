"""Facts about a single stream that several packages need."""

from __future__ import annotations

from av.stream import Disposition, Stream

# Cover art and thumbnails, as the container marks them.
STILL_IMAGES = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image


def codec_name(stream: Stream) -> str:
    """Return FFmpeg's name of a stream's codec; "unknown" if there is no decoder for it."""
    return stream.codec_context.codec.canonical_name if stream.codec_context is not None else "unknown"
