"""Present text subtitles as their stream's edit list shows them."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterator
from fractions import Fraction

from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from engines.containers.demux import PacketReader
from engines.containers.edit_lists import EditLists, Edits


def edited_texts(container: InputContainer, streams: list[Stream], lists: EditLists) -> Iterator[Packet[Stream]]:
    """Yield the packets of all streams in order of presentation; all texts are held in memory."""
    texts: dict[int, list[Packet[Stream]]] = {stream.index: [] for stream in streams}
    for packet in PacketReader(container, streams):
        if packet.pts is not None and packet.size:
            texts[packet.stream_index].append(packet)
    shown = (_shown(stream, texts[stream.index], lists.of(stream.id)) for stream in streams)
    return heapq.merge(*shown, key=lambda packet: (packet.pts or 0) * packet.time_base)


def _shown(stream: Stream, texts: list[Packet[Stream]], edits: Edits) -> Iterator[Packet[Stream]]:
    """Yield the part of each text that an edit shows, edit by edit."""
    texts.sort(key=_start)
    for edit in (edit for edit in edits if not edit.still):
        for number in range(max(0, bisect_right(texts, edit.media_start, key=_start) - 1), len(texts)):
            text = texts[number]
            begin = max(edit.media_start, _start(text))
            length = min(edit.media_end, _start(text) + (text.duration or 0)) - begin
            if begin >= edit.media_end:
                break
            if length > 0:
                yield _copy(stream, text, edit.start + begin - edit.media_start, length)


def _copy(stream: Stream, text: Packet[Stream], start: int, length: int) -> Packet[Stream]:
    """Return a copy of a packet with other times; an edit list may show a text more than once."""
    packet: Packet[Stream] = Packet(bytes(text))
    packet.stream, packet.time_base = stream, stream.time_base or Fraction(1)
    packet.pts = packet.dts = start
    packet.duration = length
    return packet


def _start(packet: Packet[Stream]) -> int:
    return packet.pts or 0
