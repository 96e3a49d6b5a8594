"""The debug overlay: faces, people and crops, drawn onto the source frame.

It is drawn on the NV12 planes, so all other pixels stay unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np

from engines.frames import Frame, Plane, Rect
from pipeline.people import Row, Side, Tile

_Point: TypeAlias = tuple[int, int]

_TEXT_HEIGHT = 1 / 40  # of the frame's height
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_HEIGHT = 22  # of capital letters at scale 1, pixels


@dataclass(frozen=True, slots=True)
class _Ink:
    y: int
    u: int
    v: int


_INKS: dict[Side, _Ink] = {"left": _Ink(170, 166, 16), "right": _Ink(173, 42, 186)}  # cyan, orange
_GREY, _BLACK = _Ink(180, 128, 128), _Ink(16, 128, 128)


def draw_overlay(frame: Frame, row: Row, *, width: int, height: int) -> Frame:
    """Return a copy of the source frame with crops, face boxes, people's numbers and sources drawn on it.

    Args:
        frame: the source frame; it may be smaller than the displayed frame.
        row: the decisions for it, in pixels of the displayed frame.
        width: width of the displayed frame, pixels.
        height: height of the displayed frame, pixels.
    """
    canvas = _Canvas(frame)
    sx, sy = frame.width / width, frame.height / height
    sides: tuple[tuple[Side, Tile], ...] = (("left", row.left), ("right", row.right))
    for side, tile in sides:
        if tile.face is not None:
            canvas.box(tile.face.scaled(sx, sy), _INKS[side], 1)
            canvas.label(_person(tile), tile.face.scaled(sx, sy), _INKS[side], 0)
        if tile.source != "placeholder" and row.full is None:
            canvas.box(tile.crop.scaled(sx, sy), _INKS[side], 2)
    if row.full is not None:
        canvas.box(row.full.scaled(sx, sy), _GREY, 2)
    for line, (side, tile) in enumerate(sides):
        canvas.label(f"{side} {_person(tile)} {tile.source}", None, _INKS[side], line)
    canvas.label(f"{row.t:.3f} s" + (", full frame" if row.full else ""), None, _GREY, len(sides))
    return canvas.frame()


def _person(tile: Tile) -> str:
    return "-" if tile.person is None else str(tile.person)


class _Canvas:
    """A copy of a frame to draw on; all coordinates are its own pixels."""

    def __init__(self, frame: Frame) -> None:
        self._source = frame
        self._y: Plane = np.array(frame.y, order="C")
        self._uv: Plane = np.array(frame.uv, order="C")
        self._text_px = max(8.0, frame.height * _TEXT_HEIGHT)
        self._line = max(1, round(frame.height / 540))

    def frame(self) -> Frame:
        source = self._source
        return Frame(self._y, self._uv, source.pts, source.duration, replaced=source.replaced, display=source.display)

    def box(self, rect: Rect, ink: _Ink, weight: int) -> None:
        """Draw a rectangle with ``weight`` lines, inwards."""
        for inset in range(weight * self._line):
            first = (round(rect.x) + inset, round(rect.y) + inset)
            last = (round(rect.x + rect.w) - 1 - inset, round(rect.y + rect.h) - 1 - inset)
            if first[0] < last[0] and first[1] < last[1]:
                cv2.rectangle(self._y, first, last, ink.y)
                cv2.rectangle(self._uv, _halved(first), _halved(last), (ink.u, ink.v))

    def label(self, text: str, above: Rect | None, ink: _Ink, line: int) -> None:
        """Draw text on black: above a rectangle, or as a line in the frame's upper left corner."""
        scale = self._text_px / _FONT_HEIGHT
        (width, height), below = cv2.getTextSize(text, _FONT, scale, self._line)
        step = height + below + 4
        x, bottom = (4, 4 + (line + 1) * step) if above is None else (round(above.x), max(step, round(above.y)))
        first, last = (x, bottom - step), (x + width + 6, bottom - 1)
        cv2.rectangle(self._y, first, last, _BLACK.y, cv2.FILLED)
        cv2.rectangle(self._uv, _halved(first), _halved(last), (ink.u, ink.v), cv2.FILLED)
        cv2.putText(self._y, text, (x + 3, bottom - below - 2), _FONT, scale, ink.y, self._line, cv2.LINE_AA)


def _halved(point: _Point) -> _Point:
    return point[0] // 2, point[1] // 2
