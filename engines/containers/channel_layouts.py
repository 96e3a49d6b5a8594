"""Read channel layouts in custom order without corrupting the heap.

FFmpeg keeps such a layout (``AV_CHANNEL_ORDER_CUSTOM``) as a table on the heap. PyAV 17 and 18 copy the table's address
into every ``AudioLayout`` and free the table with that object, although the codec context or the frame still owns it,
which corrupts the heap: reading ``channels`` of a codec context is enough, and so is each decoded frame. Demuxers make
such layouts of ``chan`` (MOV, CAF), ``chnl`` (MP4), ``CHAN`` (AIFF) and channel labels (MXF); so does USAC's decoder.
Layouts in FFmpeg's own order have no table. So:

* ``open_media`` takes the table away from every stream before anything else sees it (``take_custom_orders``): the
  stream then has channels without a layout, as they are stored, and ``AudioInfo.channel_labels`` names them;
* audio is decoded with ``decode``, which keeps the table of a frame from being freed twice.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

Labels = tuple[str, ...]

# FFmpeg's own order (libavutil/channel_layout.h, AVChannel); a label that is not here has no place in it.
_IN_ORDER = (
    "FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR", "TC", "TFL", "TFC", "TFR", "TBL", "TBC", "TBR",
    "DL", "DR", "WL", "WR", "SDL", "SDR", "LFE2", "TSL", "TSR", "BFC", "BFL", "BFR", "SSL", "SSR", "TTL", "TTR",
    "BIL", "BIR",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class NativeOrder:
    """How to put channels into FFmpeg's own order.

    Attributes:
        layout: the layout that then holds, "FL+FR+FC+LFE+SL+SR".
        sources: for each of its channels, the number of the stored channel.
    """

    layout: str
    sources: tuple[int, ...]


def take_custom_orders(container: InputContainer) -> dict[int, Labels]:
    """Remove custom channel orders from all streams; return the channel labels of those streams, by index."""
    return {
        stream.index: labels for stream in container.streams.audio if (labels := _take_custom_order(stream)) is not None
    }


def native_labels(stream: AudioStream) -> Labels | None:
    """Return FFmpeg's names of a stream's channels ("FL", "LFE"); None if they are unknown."""
    if stream.codec_context is None:
        return None
    layout = _never_freed(stream.codec_context.layout)
    is_stated = layout.nb_channels > 0 and layout.name != _unstated(layout.nb_channels)
    return _labels(layout) if is_stated else None


def native_order(layout: AudioLayout, labels: Labels | None) -> NativeOrder | None:
    """Return how to put channels in FFmpeg's order, if only ``labels`` names them.

    None also if a label repeats ("UNK": the file does not say) or has no place in FFmpeg's order.
    """
    count = layout.nb_channels
    if labels is None or layout.name != _unstated(count) or len(labels) != count:
        return None
    in_order = [label for label in _IN_ORDER if label in labels]
    if sorted(in_order) != sorted(labels):
        return None
    return NativeOrder("+".join(in_order), tuple(map(labels.index, in_order)))


def decode(stream: AudioStream, packet: Packet[Stream] | None) -> list[AudioFrame]:
    """Return the frames of ``stream.decode``, safe to use and to free.

    Raises:
        av.FFmpegError: the codec refuses the packet.
    """
    frames = stream.decode(packet)
    for frame in frames:
        if _may_have_table(frame.layout):
            _never_freed(frame.layout)
    return frames


def _take_custom_order(stream: AudioStream) -> Labels | None:
    context = stream.codec_context  # None where no decoder knows the codec
    layout = _never_freed(context.layout) if context is not None else None
    if layout is None or not _may_have_table(layout):
        return None
    context.layout = _unstated(layout.nb_channels)  # PyAV drops the table here and frees nothing
    return _labels(layout)


def _may_have_table(layout: AudioLayout) -> bool:
    """Return whether a layout may have a table: it has no name, only a list of channels. PyAV does not report it."""
    return " (" in layout.name or layout.name.startswith("ambisonic")


def _never_freed(layout: AudioLayout) -> AudioLayout:
    """Return the layout after making sure that it is never freed; each leaks some bytes."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(layout))
    return layout


def _labels(layout: AudioLayout) -> Labels:
    return tuple(channel.name for channel in layout.channels)


def _unstated(channels: int) -> str:
    return f"{channels} channels"
