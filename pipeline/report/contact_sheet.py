"""The contact sheet: at one glance, whether a job is good.

Twelve output frames with their times; under them the two people's faces at these times; and along the duration where
each tile's frame came from, where an exchange of the two people was repaired, and where quality was reduced.
Everything on it is the same for a job that was killed and resumed.
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

from engines.media.snapshots import snapshots
from pipeline.durable import write_durably
from pipeline.people import Side, Source
from pipeline.rendering.thumbnails import COUNT, FACE_SIZE, FRAME_HEIGHT, Thumbnail, jpeg, kept_moments, moment_of
from pipeline.segments.tracks_file import SIDES, SOURCES, TrackSummary

LARGEST_BYTES = 600_000

WIDTH = 1920
_GAP = 8
_COLUMNS = 4
_FRAME_WIDTH = 470
_FACES_LEFT = 92
_BAR_WIDTH, _BAR_HEIGHT = WIDTH - _FACES_LEFT - _GAP, 30
_LINE_HEIGHT, _LINE_LENGTH, _MOST_LINES = 30, 170, 8  # of warnings: pixels, characters, lines
_BIN_S = 0.5  # the bars show no finer: the detector sees only every other frame or so
_DECODED_HEIGHT = 1080
_QUALITIES = (88, 80, 70, 55, 40, 25)

Color: TypeAlias = tuple[int, int, int]
_PAPER, _INK, _SOFT, _SHADE = (24, 24, 23), (240, 238, 234), (168, 164, 156), (48, 47, 45)
_SIDE_COLORS: dict[Side, Color] = {"left": (120, 160, 255), "right": (242, 155, 98)}
_SOURCE_COLORS: dict[Source, Color] = {
    "detected": (52, 168, 106),
    "tracked": (128, 206, 160),
    "reidentified": (92, 164, 255),
    "held": (240, 200, 80),
    "frozen": (236, 122, 48),
    "placeholder": (214, 64, 70),
}
_SOURCE_WORDS = {"reidentified": "recognised again", "held": "camera waits", "placeholder": "nothing to show"}
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
    """What a contact sheet is made of.

    Attributes:
        kept: folder of a ``MomentKeeper``; where that has too few, frames are decoded from the video.
        identity, degradation: those sections of the report, as JSON.
        warnings: what the result lacks of the recording, in sentences.
    """

    video: Path
    tracks: Path
    duration_s: float
    kept: Path | None = None
    identity: dict[str, Any] = field(default_factory=dict)
    degradation: Sequence[dict[str, Any]] = ()
    warnings: Sequence[str] = ()


def write_preview(out: Path, order: SheetOrder) -> None:
    """Write the sheet, ``WIDTH`` pixels wide and, but for mere noise, of at most ``LARGEST_BYTES``.

    Raises:
        MediaError: the video cannot be read or decoded.
        StorageError: the frame could not be made.
        OSError: the storage failed.
    """
    summary = TrackSummary(order.tracks, order.duration_s, min(_BAR_WIDTH, max(1, round(order.duration_s / _BIN_S))))
    moments = kept_moments(order.kept) if order.kept is not None else []
    if len(moments) != COUNT:
        moments = list(_decoded(order.video, summary))
    lines = _warning_lines(order.warnings)
    sheet = _Sheet(len(moments), len(lines))
    sheet.draw_pictures(moments)
    sheet.draw_faces(moments)
    sheet.draw_strip(summary.finish(), order)
    sheet.draw_warnings(lines)
    write_durably(out, _small_enough(sheet.bgr()))


def _decoded(video: Path, summary: TrackSummary) -> Iterator[Thumbnail]:
    """Moments from the finished video, with their rows, one frame in memory at a time."""
    for shot in snapshots(video, COUNT, _DECODED_HEIGHT):
        row = summary.until(shot.t_s)
        if row is not None:
            yield moment_of(shot.bgr, row)


def _small_enough(frame: NDArray[np.uint8]) -> bytes:
    """As JPEG of the best quality that keeps to ``LARGEST_BYTES``, or else of the least: no job fails over this."""
    for quality in _QUALITIES:
        data = jpeg(frame, quality)
        if len(data) <= LARGEST_BYTES:
            break
    return data


def _warning_lines(warnings: Sequence[str]) -> list[str]:
    """The first of the warnings, each as one line that fits the sheet."""
    lines = [wrap(warning, _LINE_LENGTH, max_lines=1, placeholder=" ...")[0] for warning in warnings[:_MOST_LINES]]
    more = len(warnings) - len(lines)
    return [*lines, f"and {more} more; the report names them"] if more else lines


class _Sheet:
    """The sheet while it is drawn, from top to bottom."""

    def __init__(self, moments: int, lines: int) -> None:
        rows = max(1, -(-moments // _COLUMNS))
        self._faces_top = _GAP + rows * (FRAME_HEIGHT + _GAP) + 12
        self._strip_top = self._faces_top + 2 * (FACE_SIZE + 4) + 44
        self._warnings_top = self._strip_top + 2 * (_BAR_HEIGHT + 6) + 96
        self._image = Image.new("RGB", (WIDTH, self._warnings_top + lines * _LINE_HEIGHT), _PAPER)
        self._draw = ImageDraw.Draw(self._image)

    def bgr(self) -> NDArray[np.uint8]:
        return np.asarray(self._image)[:, :, ::-1].astype(np.uint8)

    def draw_pictures(self, moments: Sequence[Thumbnail]) -> None:
        for number, moment in enumerate(moments):
            x = _GAP + number % _COLUMNS * (_FRAME_WIDTH + _GAP)
            y = _GAP + number // _COLUMNS * (FRAME_HEIGHT + _GAP)
            self._paste(moment.frame[:, :_FRAME_WIDTH], x, y)
            self._stamp(clock_text(moment.t), x, y + FRAME_HEIGHT)

    def draw_faces(self, moments: Sequence[Thumbnail]) -> None:
        for row, side in enumerate(SIDES):
            y = self._faces_top + row * (FACE_SIZE + 4)
            self._label(side, y + FACE_SIZE // 2)
            for number, moment in enumerate(moments):
                shot = moment.faces[side]
                x = self._face_x(number)
                self._paste(shot.frame, x, y)
                if shot.source in ("held", "frozen", "placeholder"):
                    self._veil(shot.source, x, y)
        below = self._faces_top + 2 * (FACE_SIZE + 4) + 14
        for number, moment in enumerate(moments):
            self._text(clock_text(moment.t), self._face_x(number) + FACE_SIZE // 2, below, 16, _SOFT, "mm")

    def draw_strip(self, summary: TrackSummary, order: SheetOrder) -> None:
        for row, side in enumerate(SIDES):
            y = self._strip_top + row * (_BAR_HEIGHT + 6)
            self._label(side, y + _BAR_HEIGHT // 2)
            bar = Image.fromarray(presence_bar(summary.sources[row], _BAR_HEIGHT))
            self._image.paste(bar.resize((_BAR_WIDTH, _BAR_HEIGHT), Image.Resampling.NEAREST), (_FACES_LEFT, y))
        below = self._strip_top + 2 * (_BAR_HEIGHT + 6)
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
        """Degradation, as a line under the bars; never so short that it cannot be seen."""
        for span in order.degradation:
            left, right = self._x(span["from_s"], order.duration_s), self._x(span["to_s"], order.duration_s)
            box = (left, y, max(right, left + 3), y + 7)
            self._draw.rectangle(box, fill=_LEVEL_COLORS.get(span["level"], _SOFT))

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
        shown = summary.sources.sum(axis=(0, 2))
        entries = [(_SOURCE_COLORS[s], _SOURCE_WORDS.get(s, s)) for s, n in zip(SOURCES, shown, strict=True) if n]
        levels = sorted({span["level"] for span in order.degradation} & _LEVEL_COLORS.keys())
        entries += [(_LEVEL_COLORS[level], _LEVEL_WORDS[level]) for level in levels]
        if order.identity.get("repaired_swaps"):
            entries.append((_SWAP_COLOR, "mix-up of the two repaired"))
        x: float = _FACES_LEFT
        for color, words in entries:
            self._draw.rounded_rectangle((x, y - 8, x + 16, y + 8), 3, fill=color)
            x += 24 + self._text(words, x + 24, y, 18, _INK, "lm") + 28
        self._text(_facts(order), WIDTH - _GAP, y, 18, _SOFT, "rm")

    def _label(self, side: Side, y: int) -> None:
        self._draw.rounded_rectangle((_GAP, y - 9, _GAP + 5, y + 9), 2, fill=_SIDE_COLORS[side])
        self._text(side.capitalize(), _GAP + 14, y, 20, _INK, "lm")

    def _stamp(self, text: str, x: int, bottom: int) -> None:
        width = _font(18).getlength(text)
        self._draw.rounded_rectangle((x + 6, bottom - 32, x + 18 + width, bottom - 6), 5, fill=_PAPER)
        self._text(text, x + 12, bottom - 19, 18, _INK, "lm")

    def _veil(self, source: Source, x: int, y: int) -> None:
        """Say over a face's place why it is not seen as it is now."""
        self._draw.rectangle((x, y + FACE_SIZE - 24, x + FACE_SIZE - 1, y + FACE_SIZE - 1), fill=_SOURCE_COLORS[source])
        words = _SOURCE_WORDS.get(source, source)
        self._text(words, x + FACE_SIZE / 2, y + FACE_SIZE - 12, 16, _PAPER, "mm")

    def _paste(self, bgr: NDArray[np.uint8], x: int, y: int) -> None:
        self._image.paste(Image.fromarray(np.ascontiguousarray(bgr[:, :, ::-1])), (x, y))

    def _text(self, text: str, x: float, y: float, size: int, color: Color, anchor: str) -> float:
        """Draw a text; returns its width."""
        self._draw.text((x, y), text, fill=color, font=_font(size), anchor=anchor)
        return float(_font(size).getlength(text))


@cache
def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def presence_bar(sources: NDArray[np.int64], height: int) -> NDArray[np.uint8]:
    """One tile's sources along the duration, RGB, shape (height, bins, 3).

    Each column is divided in proportion, the worst below; what happened at all takes a pixel at least. A column
    without frames repeats the one before.

    Args:
        sources: frames by source and bin, shape (6, bins).
    """
    bar = np.full((height, sources.shape[1], 3), _SHADE, np.uint8)
    last = np.zeros(len(SOURCES), np.int64)
    for place in range(sources.shape[1]):
        last = sources[:, place] if sources[:, place].any() else last
        bottom = height
        for number in reversed(range(len(SOURCES))):
            if last[number]:
                part = max(1, round(height * int(last[number]) / int(last.sum())))
                bar[max(0, bottom - part) : bottom, place] = _SOURCE_COLORS[SOURCES[number]]
                bottom = max(0, bottom - part)
        if last.any() and bottom:
            bar[:bottom, place] = _SOURCE_COLORS[SOURCES[int(np.flatnonzero(last)[0])]]
    return bar


def _facts(order: SheetOrder) -> str:
    parts = [whole_clock_text(order.duration_s)]
    if "both_visible_ratio" in order.identity:
        parts.append(f"both people seen {100 * order.identity['both_visible_ratio']:.0f} % of the time")
    return ", ".join(parts)


def ticks(duration_s: float, most: int = 13) -> list[float]:
    """Round times along a duration, from 0 on."""
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
    step = next((s for s in steps if duration_s / s < most), 7200.0)
    return [n * step for n in range(int(duration_s / step) + 1) if n * step < duration_s * 0.985]


def clock_text(t_s: float) -> str:
    """Seconds as people write them: ``1:02:03.4``, or ``2:03.4`` within the first hour."""
    tenths = int(t_s * 10 + 0.5)
    minutes, seconds = divmod(tenths / 10, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{seconds:04.1f}" if hours else f"{minutes}:{seconds:04.1f}"


def whole_clock_text(t_s: float) -> str:
    """The same without tenths, where there are none."""
    text = clock_text(t_s)
    return text.removesuffix(".0")
