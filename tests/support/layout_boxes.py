"""Recordings whose audio names its channels, in every box that can: made from plain ones by rewriting their headers.

Tags and labels are Apple's (CoreAudioTypes.h), speaker positions those of ISO/IEC 23091-3.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from tests.support.synth import image

RATE = 48_000
Wave = NDArray[np.int16]

_PARENTS = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}
_AUDIO_ENTRIES = {b"sowt", b"twos"}
_ENTRY_BYTES = 36  # of QuickTime's audio sample description, version 0, before its boxes

# What Apple's tags say of the order of channels, in FFmpeg's names.
ORDERS: dict[int, str] = {
    114 << 16 | 3: "FC FL FR",
    116 << 16 | 4: "FC FL FR BC",
    118 << 16 | 5: "FL FR SL SR FC",
    119 << 16 | 5: "FL FC FR SL SR",
    120 << 16 | 5: "FC FL FR SL SR",
    122 << 16 | 6: "FL FR SL SR FC LFE",
    123 << 16 | 6: "FL FC FR SL SR LFE",
    124 << 16 | 6: "FC FL FR SL SR LFE",
    125 << 16 | 7: "FL FR FC LFE SL SR BC",
    126 << 16 | 8: "FL FR FC LFE SL SR FLC FRC",
    127 << 16 | 8: "FC FLC FRC FL FR SL SR LFE",
    128 << 16 | 8: "FL FR FC LFE SL SR BL BR",
    168 << 16 | 4: "FC FL FR LFE",
    169 << 16 | 5: "FC FL FR BC LFE",
    173 << 16 | 7: "FLC FRC FL FR SL SR LFE",
    177 << 16 | 8: "FLC FC FRC FL FR SL SR LFE",
}


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def layout(tag: int, bitmap: int = 0, labels: Sequence[int] = ()) -> bytes:
    """Apple's AudioChannelLayout."""
    return struct.pack(">III", tag, bitmap, len(labels)) + b"".join(struct.pack(">I16x", label) for label in labels)


def chan(tag: int, bitmap: int = 0, labels: Sequence[int] = ()) -> bytes:
    """MOV's box for it."""
    return box(b"chan", bytes(4) + layout(tag, bitmap, labels))


def chnl(positions: Sequence[int]) -> bytes:
    """ISO/IEC 14496-12's box with a speaker position for each channel."""
    return box(b"chnl", bytes(4) + bytes([1, 0, *positions]))


def plain(path: Path, wave: Wave) -> Path:
    """A recording with this audio, shape (channels, samples), of whose channels it says nothing.

    MOV has frames of 0.2 s as well; CAF and AIFF hold audio alone.
    """
    with av.open(str(path), "w") as out:
        video = _add_frames(out) if path.suffix == ".mov" else []
        audio = out.add_stream("pcm_s16le" if path.suffix == ".mov" else "pcm_s16be", rate=RATE)
        audio.codec_context.layout = f"{len(wave)} channels"
        frame = AudioFrame.from_ndarray(
            np.ascontiguousarray(wave.T).reshape(1, -1), format="s16", layout=f"{len(wave)} channels"
        )
        frame.sample_rate, frame.pts = RATE, 0
        for packet in [*video, *audio.encode(frame), *audio.encode(None)]:
            out.mux(packet)
    return path


def with_names(data: bytes, names: bytes) -> bytes:
    """The recording with ``names`` for its channels: boxes in MOV, a layout in CAF and AIFF."""
    if data[:4] == b"caff":
        chunks = _with_chunk(_chunks(data[8:], ">4sq", 1), b"chan", names)
        return data[:8] + b"".join(struct.pack(">4sq", k, len(b)) + b for k, b in chunks)
    if data[:4] == b"FORM":
        chunks = _with_chunk(_chunks(data[12:], ">4sI", 2), b"CHAN", names)
        body = b"".join(struct.pack(">4sI", k, len(b)) + b + b"\0" * (len(b) % 2) for k, b in chunks)
        return b"FORM" + struct.pack(">I", 4 + len(body)) + data[8:12] + body
    return b"".join(box(kind, _body(kind, body, names)) for kind, body in boxes_in(data))


def named(path: Path, wave: Wave, names: bytes) -> Path:
    """A recording with this audio and ``names`` for its channels."""
    path.write_bytes(with_names(plain(path, wave).read_bytes(), names))
    return path


# Ways to name six channels.
NAMES: dict[str, bytes] = {
    "tag.mov": chan(124 << 16 | 6),
    "labels.mov": chan(0, 0, (3, 1, 2, 5, 6, 4)),
    "discrete.mov": chan(0, 0, [1 << 16 | n for n in range(6)]),
    "bitmap.mov": chan(1 << 16, 0x3F),
    "wave.mov": box(b"wave", chan(122 << 16 | 6) + box(b"\0\0\0\0", b"")),
    "twice.mov": chan(122 << 16 | 6) + chan(124 << 16 | 6),
    "positions.mov": chnl((2, 0, 1, 4, 5, 3)),
    "tag.caf": layout(124 << 16 | 6),
    "labels.caf": layout(0, 0, (3, 1, 2, 5, 6, 4)),
    "tag.aiff": layout(124 << 16 | 6),
}


def _add_frames(out: av.container.OutputContainer) -> list[av.Packet]:
    stream = out.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
    stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
    stream.codec_context.thread_count = 1
    return [p for n in range(6) for p in stream.encode(image(n, 160, 90))] + stream.encode(None)


def _with_chunk(chunks: list[tuple[bytes, bytes]], kind: bytes, content: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks with this one as the second."""
    kept = [chunk for chunk in chunks if chunk[0] != kind]
    return [*kept[:1], (kind, content), *kept[1:]]


def _body(kind: bytes, body: bytes, names: bytes) -> bytes:
    if kind in _PARENTS:
        return with_names(body, names)
    if kind == b"stsd" and body[12:16] in _AUDIO_ENTRIES:
        entry = body[8:]
        kept = b"".join(box(k, b) for k, b in boxes_in(entry[_ENTRY_BYTES:]) if k != b"chan")
        return body[:8] + box(entry[4:8], entry[8:_ENTRY_BYTES] + kept + names)
    return body


def boxes_in(data: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and content of the boxes that follow each other here."""
    parts, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        parts.append((data[at + 4 : at + 8], data[at + 8 : at + size]))
        at += size
    return parts


def _chunks(data: bytes, header: str, alignment: int) -> list[tuple[bytes, bytes]]:
    parts, at, head = [], 0, struct.calcsize(header)
    while at + head <= len(data):
        kind, size = struct.unpack_from(header, data, at)
        parts.append((kind, data[at + head : at + head + size]))
        at += head + size + -size % alignment
    return parts
