"""Streams that the output lacks: neither picture nor sound, and nothing that an MP4 holds for every player."""

from __future__ import annotations

from av.container import InputContainer
from av.stream import Discard, Stream
from av.subtitles.stream import SubtitleStream

from engines.cpu.subtitles import text_streams
from engines.media_warnings import MediaWarning, media_warning


def left_behind(container: InputContainer) -> tuple[MediaWarning, ...]:
    """A warning for each stream of subtitles that is left, one for all data streams, one for all attachments."""
    kept = {stream.index for stream in text_streams(container)}
    lost = [stream for stream in container.streams.subtitles if stream.index not in kept]
    data = [stream for stream in container.streams if _is_lost_data(stream, container)]
    attachments = [stream for stream in container.streams if stream.type == "attachment"]
    warnings = [
        media_warning("SUBTITLES_DROPPED", stream=stream.index, codec=_codec(stream)) for stream in lost
    ]
    if data:
        only = data[0].index if len(data) == 1 else None
        listed = ", ".join(str(stream.index) for stream in data)
        warnings.append(media_warning("DATA_STREAMS_DROPPED", stream=only, streams=listed))
    if attachments:
        warnings.append(media_warning("ATTACHMENTS_DROPPED", count=len(attachments)))
    return tuple(warnings)


def _is_lost_data(stream: Stream, container: InputContainer) -> bool:
    """Whether a stream is data that is not kept as something else: a timecode, or the titles of chapters."""
    if stream.type not in ("data", "unknown") or "timecode" in stream.metadata:
        return False
    return not (stream.discard == Discard.all and container.chapters())


def _codec(stream: SubtitleStream) -> str:
    return stream.codec_context.codec.canonical_name if stream.codec_context is not None else "unknown"
