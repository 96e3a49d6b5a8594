"""What the output lacks, neither frame nor audio, and nothing that an MP4 holds for every player."""

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
    """A warning for each stream of subtitles that is left, one for all data streams, one for all attachments."""
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
    """A warning where frames carry closed captions (CEA-608 or 708), which broadcasters hide in them."""
    carried = cast(Iterable[SideData], frame.side_data) if frame else ()
    has_captions = any(item.type == Type.A53_CC for item in carried)
    return (media_warning("CAPTIONS_DROPPED", stream=index),) if has_captions else ()


def _is_lost_data(stream: Stream, container: InputContainer) -> bool:
    """Whether a stream is data that is not kept as something else: a timecode, or the titles of chapters."""
    if stream.type not in ("data", "unknown") or "timecode" in stream.metadata:
        return False
    return not (stream.discard == Discard.all and container.chapters())
