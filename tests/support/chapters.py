"""A recording cut into parts as cameras do it: packets and names, nothing encoded twice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path

import av

BEGUN = datetime.fromisoformat("2026-01-02T03:04:05+00:00")


def cut(
    whole: Path,
    parts: Sequence[Path],
    part_s: float | Fraction,
    *,
    gap_s: float = 0.0,
    dated: bool = True,
    container: str = "mp4",
) -> None:
    """Cut an MP4 at its key frames, every part with a clock of its own that begins at zero.

    Args:
        part_s: length of a part; a key frame must be there.
        gap_s: how much later each part was begun than the one before ended, as its creation time says.
        dated: False: no part has a creation time.
    """
    for number, path in enumerate(parts):
        begin, end = Fraction(part_s) * number, Fraction(part_s) * (number + 1)
        with av.open(str(whole)) as source, av.open(str(path), "w", format=container) as out:
            if dated:
                out.metadata["creation_time"] = (BEGUN + timedelta(seconds=float(begin) + gap_s * number)).isoformat()
            tracks = {s.index: out.add_stream_from_template(s) for s in (*source.streams.video, *source.streams.audio)}
            for stream, track in ((source.streams[index], track) for index, track in tracks.items()):
                track.time_base = stream.time_base
            for packet in source.demux([source.streams[index] for index in tracks]):
                last = number == len(parts) - 1
                if packet.size and packet.pts is not None and packet.dts is not None:
                    at = packet.pts * packet.time_base
                    if (begin <= at or number == 0) and (at < end or last):
                        shift = round(begin / packet.time_base)
                        packet.pts -= shift
                        packet.dts -= shift
                        packet.stream = tracks[packet.stream.index]
                        out.mux(packet)


def split_bytes(whole: Path, parts: Sequence[Path], *, packet_bytes: int = 188) -> None:
    """Cut an MPEG-TS into parts of nearly the same size, wherever that falls."""
    content = whole.read_bytes()
    size = len(content) // packet_bytes // len(parts) * packet_bytes
    for number, path in enumerate(parts):
        path.write_bytes(content[number * size : (number + 1) * size if number < len(parts) - 1 else None])
