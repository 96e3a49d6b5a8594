"""The contact sheet, which shows at a glance whether a job is good.

First it has a frame of each place at which people should check who is who. Then it has twelve output frames with their
times, the faces of the two people at these times, and a strip over the duration with each tile's source, repaired swaps
of the two people, places to check, and reduced quality. Of a video without tiles it shows the one person. A job that
was killed and resumed has the same contact sheet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from textwrap import wrap
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from engines.media.snapshots import snapshots, snapshots_at
from engines.media_warnings import span_words
from pipeline.durable import write_durably
from pipeline.people import Side, Source
from pipeline.rendering.thumbnails import COUNT, FACE_SIZE, FRAME_HEIGHT, Thumbnail, jpeg, load_thumbnails, thumbnail_of
from pipeline.report.doubts import places_to_check
from pipeline.report.presence_bar import SOURCE_COLORS, SOURCE_WORDS, presence_bar
from pipeline.report.time_axis import clock_text, ticks, whole_clock_text
from pipeline.segments.tracks_file import SIDES, SOURCES, TrackSummary

LARGEST_BYTES = 600_000

WIDTH = 1920
_GAP = 8
_COLUMNS = 4
_FRAME_WIDTH = 470
_FACES_LEFT = 92
_BAR_WIDTH, _BAR_HEIGHT = WIDTH - _FACES_LEFT - _GAP, 30
_LINE_HEIGHT, _LINE_LENGTH, _MOST_LINES = 30, 170, 8  # of warnings: pixels, characters, lines
_BIN_S = 0.5  # bars need no finer bins, as the detector runs on a part of the frames only
_DECODED_HEIGHT = 1080
_QUALITIES = (88, 80, 70, 55, 40, 25)

Color: TypeAlias = tuple[int, int, int]
_PAPER, _INK, _SOFT = (24, 24, 23), (240, 238, 234), (168, 164, 156)
_SIDE_COLORS: dict[Side, Color] = {"left": (120, 160, 255), "right": (242, 155, 98)}
_LEVEL_COLORS = {"downscale": (206, 188, 255), "frame_skip": (150, 116, 255), "pause": (240, 238, 234)}
_LEVEL_WORDS = {
    "downscale": "quality: softer frames",
    "frame_skip": "quality: every second frame",
    "pause": "work paused, no loss",
}
_WARN: Color = (255, 196, 88)
_SWAP_COLOR = (232, 110, 220)


@dataclass(frozen=True, slots=True)
class SheetOrder:
    """What a contact sheet shows.

    Attributes:
        thumbnails: folder of a ``ThumbnailStore``; if it has too few, frames are decoded from the video.
        identity, degradation: those sections of the report, as JSON.
        warnings: those of the report, one sentence each.
        is_single: the video shows one person full frame, without tiles.
    """

    video: Path
    tracks: Path
    duration_s: float
    thumbnails: Path | None = None
    identity: dict[str, Any] = field(default_factory=dict)
    degradation: Sequence[dict[str, Any]] = ()
    warnings: Sequence[str] = ()
    is_single: bool = False


def write_preview(out: Path, order: SheetOrder) -> None:
    """Write the sheet, ``WIDTH`` pixels wide and of at most ``LARGEST_BYTES`` (more only if the frames are noise).

    Raises:
        MediaError: the video cannot be read or decoded.
        StorageError: the sheet could not be encoded.
        OSError: the storage failed.
    """
    summary = TrackSummary(order.tracks, order.duration_s, min(_BAR_WIDTH, max(1, round(order.duration_s / _BIN_S))))
    thumbnails = load_thumbnails(order.thumbnails) if order.thumbnails is not None else []
    if len(thumbnails) != COUNT:
        thumbnails = list(_decoded(order.video, summary))
    lines, summary = _warning_lines(order.warnings), summary.finish()
    places = places_to_check(order.identity.get("doubts", []), _COLUMNS)
    sides = (summary.busier_side,) if order.is_single else SIDES
    sheet = _Sheet(len(thumbnails), len(lines), sides, doubts=bool(places))
    sheet.draw_places(places, _frames_of(order.video, places))
    sheet.draw_frames(thumbnails)
    sheet.draw_faces(thumbnails)
    sheet.draw_strip(summary, order)
    sheet.draw_warnings(lines)
    write_durably(out, _small_enough(sheet.bgr()))


def _decoded(video: Path, summary: TrackSummary) -> Iterator[Thumbnail]:
    """Yield thumbnails from the finished video, with one frame in memory at a time."""
    for shot in snapshots(video, COUNT, _DECODED_HEIGHT):
        row = summary.until(shot.t_s)
        if row is not None:
            yield thumbnail_of(shot.bgr, row)


def _frames_of(video: Path, places: Sequence[dict[str, float]]) -> list[NDArray[np.uint8]]:
    """Return the frame in the middle of each place, ``FRAME_HEIGHT`` pixels high."""
    times = [(place["from_s"] + place["to_s"]) / 2 for place in places]
    return [shot.bgr for shot in snapshots_at(video, times, FRAME_HEIGHT)] if places else []


def _small_enough(image: NDArray[np.uint8]) -> bytes:
    """Encode as JPEG of the best quality within ``LARGEST_BYTES``, or of the lowest quality if none is."""
    for quality in _QUALITIES:
        data = jpeg(image, quality)
        if len(data) <= LARGEST_BYTES:
            break
    return data


def _warning_lines(warnings: Sequence[str]) -> list[str]:
    """Return the first warnings, each shortened to one line of the sheet."""
    lines = [wrap(warning, _LINE_LENGTH, max_lines=1, placeholder=" ...")[0] for warning in warnings[:_MOST_LINES]]
    more = len(warnings) - len(lines)
    return [*lines, f"and {more} more; the report names them"] if more else lines


class _Sheet:
    """The sheet while it is drawn, from top to bottom, with a row of faces and a bar for each of ``sides``."""

    def __init__(self, thumbnails: int, lines: int, sides: Sequence[Side], *, doubts: bool) -> None:
        self._sides = sides
        rows = max(1, -(-thumbnails // _COLUMNS))
        self._frames_top = _GAP + (FRAME_HEIGHT + 3 * _GAP if doubts else 0)
        self._faces_top = self._frames_top + rows * (FRAME_HEIGHT + _GAP) + 12
        self._strip_top = self._faces_top + len(sides) * (FACE_SIZE + 4) + 44
        self._warnings_top = self._strip_top + len(sides) * (_BAR_HEIGHT + 6) + 96
        self._image = Image.new("RGB", (WIDTH, self._warnings_top + lines * _LINE_HEIGHT), _PAPER)
        self._draw = ImageDraw.Draw(self._image)

    def bgr(self) -> NDArray[np.uint8]:
        return np.asarray(self._image)[:, :, ::-1].astype(np.uint8)

    def draw_places(self, places: Sequence[dict[str, float]], frames: Sequence[NDArray[np.uint8]]) -> None:
        """Draw frames of the places to check, framed in the colour of warnings."""
        for number, (place, frame) in enumerate(zip(places, frames, strict=False)):
            x = _GAP + number * (_FRAME_WIDTH + _GAP)
            self._paste(frame[:, :_FRAME_WIDTH], x, _GAP)
            self._draw.rectangle((x, _GAP, x + _FRAME_WIDTH - 1, _GAP + FRAME_HEIGHT - 1), outline=_WARN, width=4)
            words = f"check {span_words(place['from_s'], place['to_s'])[0].strip()}"
            self._stamp(words, x, _GAP + FRAME_HEIGHT, _WARN)

    def draw_frames(self, thumbnails: Sequence[Thumbnail]) -> None:
        for number, thumbnail in enumerate(thumbnails):
            x = _GAP + number % _COLUMNS * (_FRAME_WIDTH + _GAP)
            y = self._frames_top + number // _COLUMNS * (FRAME_HEIGHT + _GAP)
            self._paste(thumbnail.frame[:, :_FRAME_WIDTH], x, y)
            self._stamp(clock_text(thumbnail.t), x, y + FRAME_HEIGHT)

    def draw_faces(self, thumbnails: Sequence[Thumbnail]) -> None:
        for row, side in enumerate(self._sides):
            y = self._faces_top + row * (FACE_SIZE + 4)
            self._label(side, y + FACE_SIZE // 2)
            for number, thumbnail in enumerate(thumbnails):
                shot = thumbnail.faces[side]
                x = self._face_x(number)
                self._paste(shot.image, x, y)
                if shot.source in ("held", "frozen", "placeholder"):
                    self._mark_source(shot.source, x, y)
        below = self._faces_top + len(self._sides) * (FACE_SIZE + 4) + 14
        for number, thumbnail in enumerate(thumbnails):
            self._text(clock_text(thumbnail.t), self._face_x(number) + FACE_SIZE // 2, below, 16, _SOFT, "mm")

    def draw_strip(self, summary: TrackSummary, order: SheetOrder) -> None:
        for row, side in enumerate(self._sides):
            y = self._strip_top + row * (_BAR_HEIGHT + 6)
            self._label(side, y + _BAR_HEIGHT // 2)
            bar = Image.fromarray(presence_bar(summary.sources[SIDES.index(side)], _BAR_HEIGHT))
            self._image.paste(bar.resize((_BAR_WIDTH, _BAR_HEIGHT), Image.Resampling.NEAREST), (_FACES_LEFT, y))
        below = self._strip_top + len(self._sides) * (_BAR_HEIGHT + 6)
        self._spans(order, below)
        self._swaps(order, below + 14)
        self._axis(order.duration_s, below + 12)
        self._legend(order, summary, below + 72)

    def draw_warnings(self, lines: Sequence[str]) -> None:
        for number, line in enumerate(lines):
            y = self._warnings_top + number * _LINE_HEIGHT + 4
            self._draw.rounded_rectangle((_GAP, y - 8, _GAP + 16, y + 8), 3, fill=_WARN)
            self._text(line, _GAP + 28, y, 20, _WARN, "lm")

    def _face_x(self, number: int) -> int:
        return round(_FACES_LEFT + number * (_BAR_WIDTH - FACE_SIZE) / (COUNT - 1))

    def _x(self, t: float, duration_s: float) -> float:
        return _FACES_LEFT + min(1.0, max(0.0, t / max(duration_s, 1e-6))) * _BAR_WIDTH

    def _spans(self, order: SheetOrder, y: int) -> None:
        """Draw degradation as a line under the bars, and places of doubt as one above them."""
        for span in order.degradation:
            self._span(order, span, y, _LEVEL_COLORS.get(span["level"], _SOFT))
        for span in order.identity.get("doubts", []):
            self._span(order, span, self._strip_top - 12, _WARN)

    def _span(self, order: SheetOrder, span: dict[str, Any], y: int, color: Color) -> None:
        """Draw a span as a line of at least 3 pixels."""
        left, right = self._x(span["from_s"], order.duration_s), self._x(span["to_s"], order.duration_s)
        self._draw.rectangle((left, y, max(right, left + 3), y + 7), fill=color)

    def _swaps(self, order: SheetOrder, y: int) -> None:
        for swap in order.identity.get("repaired_swaps", []):
            x = self._x(swap["t"], order.duration_s)
            self._draw.line((x, self._strip_top - 6, x, y - 8), fill=_SWAP_COLOR, width=2)
            self._draw.polygon(((x, y - 12), (x - 8, y + 2), (x + 8, y + 2)), fill=_SWAP_COLOR)

    def _axis(self, duration_s: float, y: int) -> None:
        for t in ticks(duration_s):
            x = self._x(t, duration_s)
            self._draw.line((x, y, x, y + 6), fill=_SOFT)
            anchor = "lm" if t == 0 else "mm"
            self._text(whole_clock_text(t), x, y + 18, 16, _SOFT, anchor)

    def _legend(self, order: SheetOrder, summary: TrackSummary, y: int) -> None:
        shown = summary.sources[[SIDES.index(side) for side in self._sides]].sum(axis=(0, 2))
        entries = [(SOURCE_COLORS[s], SOURCE_WORDS.get(s, s)) for s, n in zip(SOURCES, shown, strict=True) if n]
        levels = sorted({span["level"] for span in order.degradation} & _LEVEL_COLORS.keys())
        entries += [(_LEVEL_COLORS[level], _LEVEL_WORDS[level]) for level in levels]
        if order.identity.get("doubts"):
            entries.append((_WARN, "please check"))
        if order.identity.get("repaired_swaps"):
            entries.append((_SWAP_COLOR, "mix-up of the two repaired"))
        x: float = _FACES_LEFT
        for color, words in entries:
            self._draw.rounded_rectangle((x, y - 8, x + 16, y + 8), 3, fill=color)
            x += 24 + self._text(words, x + 24, y, 18, _INK, "lm") + 28
        self._text(_facts(order), WIDTH - _GAP, y, 18, _SOFT, "rm")

    def _label(self, side: Side, y: int) -> None:
        self._draw.rounded_rectangle((_GAP, y - 9, _GAP + 5, y + 9), 2, fill=_SIDE_COLORS[side])
        name = side.capitalize() if len(self._sides) > 1 else "Person"
        self._text(name, _GAP + 14, y, 20, _INK, "lm")

    def _stamp(self, text: str, x: int, bottom: int, color: Color = _INK) -> None:
        width = _font(18).getlength(text)
        self._draw.rounded_rectangle((x + 6, bottom - 32, x + 18 + width, bottom - 6), 5, fill=_PAPER)
        self._text(text, x + 12, bottom - 19, 18, color, "lm")

    def _mark_source(self, source: Source, x: int, y: int) -> None:
        """Write over a face why the tile does not show the current one."""
        self._draw.rectangle((x, y + FACE_SIZE - 24, x + FACE_SIZE - 1, y + FACE_SIZE - 1), fill=SOURCE_COLORS[source])
        words = SOURCE_WORDS.get(source, source)
        self._text(words, x + FACE_SIZE / 2, y + FACE_SIZE - 12, 16, _PAPER, "mm")

    def _paste(self, bgr: NDArray[np.uint8], x: int, y: int) -> None:
        self._image.paste(Image.fromarray(np.ascontiguousarray(bgr[:, :, ::-1])), (x, y))

    def _text(self, text: str, x: float, y: float, size: int, color: Color, anchor: str) -> float:
        """Draw a text; return its width in pixels."""
        self._draw.text((x, y), text, fill=color, font=_font(size), anchor=anchor)
        return float(_font(size).getlength(text))


@cache
def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def _facts(order: SheetOrder) -> str:
    parts = [whole_clock_text(order.duration_s)]
    if order.is_single:
        parts.append("full frame, as there are no two people")
    elif "both_visible_ratio" in order.identity:
        parts.append(f"both people seen {100 * order.identity['both_visible_ratio']:.0f} % of the time")
    return ", ".join(parts)
