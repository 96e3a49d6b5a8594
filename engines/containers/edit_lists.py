"""Read edit lists of MP4 and MOV: which part of a track's media plays when (ISO/IEC 14496-12, 8.6.5 and 8.6.6).

FFmpeg applies a list by rewriting its index: an entry of 24 bytes for each sample of each edit, and for all samples
before it from its keyframe on. It cuts audio at packets, so audio drifts against video by up to 20 ms per edit. It
presents a single edit, also after a pause, exactly; such lists are left to it. If a track has more edits, the demuxer
ignores all lists of the file, and ``engines.edits`` applies them; that takes memory only for the edits and the texts.
Other readers of such a file get times of the media.

What a list may contain, and how it is presented:

* a pause (media time -1): the frame before it stays, with silence;
* a still (rate 0): the frame at its media time stays, with silence;
* any rate other than 1: rate 1 for the duration of the edit, with a warning;
* media that does not exist: a pause, with a warning;
* media presented twice, overlapping, or out of order: as listed;
* a last edit without a duration: to the end of the media.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from engines.containers.mp4_index import IndexBox, movie_boxes, uint32
from engines.errors import IndexTooLargeError

FOREVER = 2**60  # ticks: the end of an edit without a duration
MAX_EDITS = 2**17  # one for each frame of an hour
_RATE_1 = 0x10000


@dataclass(frozen=True, slots=True)
class Edit:
    """One section of the presentation that shows media; all in ticks of the track.

    Attributes:
        start, end: on the presentation's timeline.
        media_start: on the media's timeline, which advances with the presentation.
        still: the frame at ``media_start`` stays until ``end``.
    """

    start: int
    end: int
    media_start: int
    still: bool = False

    @property
    def media_end(self) -> int:
        return self.media_start + (1 if self.still else self.end - self.start)

    def continues_as(self, later: Edit) -> bool:
        """Return whether a later edit continues this one without a break."""
        return not self.still and not later.still and (self.end, self.media_end) == (later.start, later.media_start)


Edits = tuple[Edit, ...]
WHOLE: Edits = (Edit(0, FOREVER, 0),)


@dataclass(slots=True)
class TrackEdits:
    """The edits of one track, and counts for warnings."""

    timescale: int
    media_ticks: int  # from the header; 0: unknown
    edits: Edits = ()
    shows: int = 0  # number of list entries that show media, also those of no duration
    other_rates: int = 0  # number of edits with another speed
    beyond_media: int = 0  # number of edits of media that does not exist

    @property
    def end(self) -> int | None:
        """End of the presentation, in ticks; None if it is unknown."""
        if not self.edits:
            return None
        last = self.edits[-1]
        if last.end < FOREVER:
            return last.end
        return last.start + self.media_ticks - last.media_start if self.media_ticks else None

    @property
    def is_complex(self) -> bool:
        """Whether the list has more than one edit that shows media, or a still."""
        return self.shows > 1 or any(edit.still for edit in self.edits)


@dataclass(frozen=True, slots=True)
class EditLists:
    """The edit lists of a file.

    Attributes:
        tracks: by track number, which is the ``id`` of FFmpeg's stream.
        are_complex: whether ``engines.edits`` applies them, for every track, instead of FFmpeg.
    """

    tracks: dict[int, TrackEdits]
    are_complex: bool

    def of(self, track: int) -> Edits:
        """Return a track's edits in order; a track without a list is presented whole."""
        return self.tracks[track].edits if track in self.tracks else WHOLE


def read_edit_lists(path: Path) -> EditLists:
    """Return the edit lists of a file; files of other formats have none.

    Raises:
        IndexTooLargeError: a list is longer than any recording's.
        OSError: the storage failed.
    """
    movie = _Movie()
    with path.open("rb") as file:
        for box in movie_boxes(file):
            movie.add(box, file)
    lists = [(track.number, track.presented(movie.timescale)) for track in movie.tracks if track.entries]
    return EditLists(dict(lists), any(track.is_complex for _, track in lists))


def edit_at(edits: Edits, time: int) -> int:
    """Return the number of the edit that presents a time, or of the last one before it."""
    return max(0, bisect_right(edits, time, key=lambda edit: edit.start) - 1)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of a list: ``duration`` in the movie's ticks, ``media_time`` in the track's; negative: a pause."""

    duration: int
    media_time: int
    rate: int


@dataclass(slots=True)
class _Track:
    number: int = 0
    timescale: int = 0
    media_ticks: int = 0
    entries: list[_Entry] = field(default_factory=list)

    def presented(self, movie_timescale: int) -> TrackEdits:
        """Return the entries on the presentation's timeline."""
        track = TrackEdits(self.timescale, self.media_ticks, shows=sum(e.media_time >= 0 for e in self.entries))
        edits: list[Edit] = []
        for edit in self._edits(track, self.timescale or 1, movie_timescale or 1):
            if edits and edits[-1].continues_as(edit):
                edits[-1] = replace(edits[-1], end=edit.end)
            else:
                edits.append(edit)
        track.edits = tuple(edits)
        return track

    def _edits(self, track: TrackEdits, timescale: int, movie_timescale: int) -> Iterator[Edit]:
        """Yield the edits; each start is rounded by itself, so that errors do not add up."""
        elapsed = 0
        for number, entry in enumerate(self.entries):
            start = _rounded(elapsed * timescale, movie_timescale)
            elapsed += entry.duration
            end = _rounded(elapsed * timescale, movie_timescale)
            if not entry.duration and number == len(self.entries) - 1:
                end = FOREVER
            if end > FOREVER:
                return
            if end <= start or not 0 <= entry.media_time <= FOREVER:
                continue
            track.other_rates += entry.rate not in (0, _RATE_1)
            edit = Edit(start, end, entry.media_time, still=entry.rate == 0)
            track.beyond_media += self._exceeds_media(edit, timescale)
            yield edit

    def _exceeds_media(self, edit: Edit, timescale: int) -> bool:
        """Return whether more than half a second of an edit's media is missing; unknown for fragments."""
        return bool(self.media_ticks) and edit.end < FOREVER and edit.media_end > self.media_ticks + timescale // 2


@dataclass(slots=True)
class _Movie:
    timescale: int = 0
    tracks: list[_Track] = field(default_factory=list)

    def add(self, box: IndexBox, file: BinaryIO) -> None:
        """Record one box."""
        wide = box.head[:1] == b"\1"
        track = self.tracks[-1] if self.tracks else _Track()
        if box.kind == b"mvhd":
            self.timescale = uint32(box.head, 20 if wide else 12)
        elif box.kind == b"trak":
            self.tracks.append(_Track())
        elif box.kind == b"tkhd":
            track.number = uint32(box.head, 20 if wide else 12)
        elif box.kind == b"mdhd":
            track.timescale = uint32(box.head, 20 if wide else 12)
            track.media_ticks = int.from_bytes(box.head[24:32] if wide else box.head[16:20], "big")
        elif box.kind == b"elst":
            track.entries = list(_entries(box, file, wide=wide))


def _entries(box: IndexBox, file: BinaryIO, *, wide: bool) -> Iterator[_Entry]:
    line = struct.Struct(">QqI" if wide else ">IiI")
    count = min(uint32(box.head, 4), max(0, box.size - 8) // line.size)
    if count > MAX_EDITS:
        raise IndexTooLargeError(f"The file's index has a list of {count:,} edits, which no recording has.")
    file.seek(box.offset + 8)
    content = file.read(count * line.size)
    whole = len(content) // line.size * line.size
    return (_Entry(*fields) for fields in line.iter_unpack(content[:whole]))


def _rounded(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)
