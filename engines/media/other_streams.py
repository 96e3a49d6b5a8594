"""Warn of streams, other than video and audio, that the output does not have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from av.container import InputContainer
from av.sidedata.sidedata import SideData, Type
from av.stream import Discard, Stream
from av.video.frame import VideoFrame

from engines.containers.streams import codec_name
from engines.media_warnings import MediaWarning, media_warning
from engines.metadata.subtitles import text_streams


def dropped_streams(container: InputContainer) -> tuple[MediaWarning, ...]:
    """Return a warning for each dropped subtitle stream, one for all data streams, and one for all attachments."""
    kept = {stream.index for stream in text_streams(container)}
    lost = [stream for stream in container.streams.subtitles if stream.index not in kept]
    data = [stream for stream in container.streams if _is_lost_data(stream, container)]
    attachments = [stream for stream in container.streams if stream.type == "attachment"]
    warnings = [media_warning("SUBTITLES_DROPPED", stream=stream.index, codec=codec_name(stream)) for stream in lost]
    if data:
        only = data[0].index if len(data) == 1 else None
        listed = ", ".join(str(stream.index) for stream in data)
        warnings.append(media_warning("DATA_STREAMS_DROPPED", stream=only, streams=listed))
    if attachments:
        warnings.append(media_warning("ATTACHMENTS_DROPPED", count=len(attachments)))
    return tuple(warnings)


def embedded_captions(frame: VideoFrame | None, index: int) -> tuple[MediaWarning, ...]:
    """Return a warning if frames carry closed captions (CEA-608 or 708), as broadcasts do."""
    carried = cast(Iterable[SideData], frame.side_data) if frame else ()
    has_captions = any(item.type == Type.A53_CC for item in carried)
    return (media_warning("CAPTIONS_DROPPED", stream=index),) if has_captions else ()


def _is_lost_data(stream: Stream, container: InputContainer) -> bool:
    """Return whether a stream is data, other than a timecode or chapter titles, which are kept in another form."""
    if stream.type not in ("data", "unknown") or "timecode" in stream.metadata:
        return False
    return not (stream.discard == Discard.all and container.chapters())
