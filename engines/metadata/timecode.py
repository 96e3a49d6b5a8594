"""Compute the SMPTE timecode at the start of the output from the source's timecode."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from engines.containers.sniff import iso_boxes

_FORM = re.compile(r"\s*(\d{1,2}):(\d{1,2}):(\d{1,2})([:;.])(\d{1,3})\s*$")
# QuickTime File Format, "Timecode sample description": flags, then time scale and frame duration.
_SAMPLE_DESCRIPTION = re.compile(rb"stsd.{12}tmcd.{16}(.{4})(.{4})", re.DOTALL)
_ENTRY_BYTES, _BLOCK_BYTES = 64, 2**20
_DAY_MINUTES = 24 * 60
BASE_MAX = 255  # the sample description of a timecode track has a byte for it


def timecode_at(
    path: Path, source: InputContainer, video: VideoStream, moment_s: Fraction, fps: Fraction
) -> str | None:
    """Return the source's timecode at a time, counted at another frame rate; None if there is none.

    A timecode belongs to the start of the track that carries it, or else of the video. It counts the video's frames
    unless that track has another rate: at 50 frames a second, cameras often count every second frame.

    Raises:
        OSError: the storage failed.
    """
    label = _label(source, video)
    tracks: list[Stream] = list(source.streams.data)
    carrier = next((track for track in tracks if _label_in(track.metadata) == label), video)
    begin_s = (carrier.start_time or 0) * (carrier.time_base or Fraction(1))
    counted = _counted_fps(path) if carrier is not video else None
    return shifted(label, moment_s - begin_s, counted or video.average_rate or video.guessed_rate or fps, fps)


def has_timecode(source: InputContainer, video: VideoStream) -> bool:
    return bool(_label(source, video))


def _label(source: InputContainer, video: VideoStream) -> str:
    holders = (video.metadata, *(track.metadata for track in source.streams.data), source.metadata)
    return next(filter(None, map(_label_in, holders)), "")


def _counted_fps(path: Path) -> Fraction | None:
    """Return how many frames a second the first timecode track of a MOV or MP4 counts."""
    with path.open("rb") as file:
        for kind, offset, size in iso_boxes(file):
            if kind == b"moov":
                file.seek(offset)
                return _rate_in(iter(lambda: file.read(_BLOCK_BYTES), b""), size)
    return None


def _rate_in(blocks: Iterator[bytes], size: int) -> Fraction | None:
    tail = b""
    for number, block in enumerate(blocks):
        tail = tail[-_ENTRY_BYTES:] + block
        if found := _SAMPLE_DESCRIPTION.search(tail):
            time_scale, frame_duration = (int.from_bytes(field, "big") for field in found.groups())
            return Fraction(time_scale, frame_duration) if time_scale and frame_duration else None
        if (number + 1) * _BLOCK_BYTES >= size:
            break
    return None


def _label_in(metadata: Mapping[str, str]) -> str | None:
    """Return the timecode tag; Matroska's tags are in capitals."""
    return next((value for key, value in metadata.items() if key.lower() == "timecode"), None)


def shifted(timecode: str, by_s: Fraction, source_fps: Fraction, fps: Fraction) -> str | None:
    """Return a timecode moved by some seconds; None if it is invalid or the rate is not supported.

    Args:
        source_fps, fps: rates at which the last field of the given and of the returned timecode count.
    """
    found = _FORM.match(timecode)
    base, source_base = round(fps), round(source_fps)
    if found is None or not 1 <= base <= BASE_MAX or not source_base:
        return None
    hours, minutes, seconds, frames = (int(found[n]) for n in (1, 2, 3, 5))
    dropped = base // 15 if found[4] != ":" and base % 30 == 0 else 0  # numbers omitted per minute (SMPTE ST 12-1)
    minute = hours * 60 + minutes
    number = (minute * 60 + seconds) * base + min(frames, source_base - 1) * base // source_base
    number -= dropped * (minute - minute // 10)
    return _written(number + round(by_s * fps), base, dropped)


def _written(number: int, base: int, dropped: int) -> str:
    ten_minutes = base * 600 - dropped * 9
    number %= ten_minutes * _DAY_MINUTES // 10
    tens, rest = divmod(number, ten_minutes)
    minutes_behind_first = max(0, (rest - dropped) // (base * 60 - dropped))  # the first of ten omits no number
    number += dropped * (tens * 9 + minutes_behind_first)
    seconds, frame = divmod(number, base)
    separator = ";" if dropped else ":"
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{separator}{frame:02}"
