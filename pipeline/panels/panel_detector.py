"""Panels of a stream: their borders stay where they are while the content moves."""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.frames import Rect
from pipeline.panels.borders import Votes, border_votes
from pipeline.panels.insets import with_insets
from pipeline.panels.layout import find_panels, holds_centre

LUMA_LONG_SIDE = 480

_FIRST_SAMPLES = 6  # of a shot, in quick succession
_FIRST_EVERY_S, _EVERY_S = 0.1, 0.4
_EVERY_UNDIVIDED_S = (
    4.0  # in a shot without panels, which rarely gets any before the next cut; a sample makes a GPU wait
)
_LEAST_SAMPLES = 4  # before a shot's panels are believed
_INSET_SAMPLES = 30  # before an inset is believed: by then, what belongs to a person has moved with them
_SLACK = 1e-3  # of a pause: tolerates rounding of timestamps
_WEIGHT = 0.4  # of the newest sample
_SCALE = 64  # votes are stored in parts of this
_SAME = 2.5 / LUMA_LONG_SIDE  # of the frame: panels that differ by less are the same
_PICTURE_LEAST = 0.5  # of the frame's area: a panel as large is the picture between bars
_MIDDLE = Rect(0.49, 0.49, 0.02, 0.02)
_EDGE = 4  # pixels beside a panel that its border may take
_PLAIN = 4.0  # luma steps, standard deviation
_DELAY_S = 0.7  # after which a change without a cut is noticed

Panels = tuple[Rect, ...]


@dataclass(slots=True)
class _Layout:
    """The panels from one time on, in parts of the frame's width and height.

    Attributes:
        panels: None while unknown.
        has_faces: whether a face has been seen since; before, only bars around the whole picture are looked for.
    """

    since: float
    panels: Panels | None
    has_faces: bool = False


class PanelDetector:
    """Finds the panels of consecutive shots; a frame without borders has none.

    A sample is a small luma frame. Votes for borders are averaged over the samples of a shot. Borders of the shot
    before count as known until detail contradicts them, as they do where both sides are dark for a while. Within a
    shot, another layout replaces the one before when two samples in a row agree on it. It must show more panels or be
    without a border of before: captions and other overlays only cut a part off.

    Args:
        dense: begin in the middle of a shot, and take every sample that a detector might that knows the shot so far.
    """

    def __init__(self, *, dense: bool = False) -> None:
        self._dense = dense
        self._quick = 0 if dense else _FIRST_SAMPLES  # samples in quick succession that are still to come
        self._layouts = [_Layout(0.0, None)]
        self._votes: list[NDArray[np.int8]] = []  # vertical and horizontal, in parts of _SCALE
        self._samples = 0
        self._next_s = 0.0
        self._candidate: Panels | None = None
        self._known: Panels = ()
        self._faces: list[Rect] = []  # the latest of each panel
        self._most_faces = 0  # found at once in this shot
        self._awaits_inset = False  # there may be an inset, which further samples will confirm

    def begin_shot(self, t: float) -> None:
        """Note a cut at ``t``, seconds."""
        self._layouts.append(_Layout(t, None))
        self._votes, self._samples, self._candidate, self._faces = [], 0, None, []
        self._most_faces, self._awaits_inset = 0, False
        self._next_s, self._quick = t, _FIRST_SAMPLES

    def note_faces(self, t: float, faces: Sequence[Rect]) -> None:
        """Note the faces that are found at ``t``, in parts of the frame's width and height.

        More faces than ever in this shot may be those of a new panel; then a sample is due.
        """
        hidden = (face for face in self._faces if not any(_share_panel(face, f, self._known) for f in faces))
        self._faces = [*faces, *hidden]
        if len(faces) > self._most_faces:
            self._most_faces = len(faces)
            self._next_s = min(self._next_s, t)

    def is_due(self, t: float) -> bool:
        """Return whether the frame at ``t`` is to be given to ``observe``."""
        return t >= self._next_s

    def observe(self, t: float, luma: NDArray[np.uint8]) -> None:
        """Take a sample, shape (H, W)."""
        samples = np.asarray(luma, np.float32)
        self._average([border_votes(samples), border_votes(np.ascontiguousarray(samples.T))])
        self._samples += 1
        if self._samples >= _LEAST_SAMPLES:
            self._decide(t, self._panels(samples))
        self._quick = max(0, self._quick - 1)
        self._next_s = t + _FIRST_EVERY_S if self._quick else _next_multiple(t, self._pause())

    def _pause(self) -> float:
        """Return the time between two samples after the first ones, seconds."""
        is_busy = self._dense or self._layouts[-1].panels or self._candidate or self._awaits_inset
        return _EVERY_S if is_busy else _EVERY_UNDIVIDED_S

    def _panels(self, luma: NDArray[np.float32]) -> Panels:
        """Return the panels in the latest sample.

        The only panel of a frame must lie between plain bars or have borders without a gap: a room may well have a
        straight edge from top to bottom.
        """
        vertical, horizontal = (np.asarray(votes, np.float32) / np.float32(_SCALE) for votes in self._votes)
        faces = self._faces or [_MIDDLE]
        panels = find_panels(vertical, horizontal, faces, self._known)
        if len(panels) == 1 and not (
            _is_between_bars(luma, panels[0]) or any(_same(panels, (p,)) for p in self._known)
        ):
            panels = find_panels(vertical, horizontal, faces, without_gaps=True)
        divided = with_insets(panels, vertical, horizontal, self._faces, self._known)
        self._awaits_inset = divided != panels and self._samples < _INSET_SAMPLES
        return panels if self._awaits_inset else divided

    def at(self, t: float) -> Panels:
        """Return the panels at ``t``, in parts of the frame's width and height; must not go back in time."""
        while len(self._layouts) > 1 and self._layouts[1].since <= t:
            del self._layouts[0]
        return self._layouts[0].panels or ()

    def _average(self, votes: Sequence[Votes]) -> None:
        if not self._votes or any(a.shape != b.shape for a, b in zip(self._votes, votes, strict=True)):
            self._votes, self._samples = [np.asarray(v * _SCALE, np.int8) for v in votes], 0
            return
        weight = max(_WEIGHT, 1 / (self._samples + 1))
        for mean, new in zip(self._votes, votes, strict=True):
            mean[:] = np.rint(mean + weight * (new * float(_SCALE) - mean))

    def _decide(self, t: float, panels: Panels) -> None:
        current = self._layouts[-1]
        before = current.panels or ()
        if not self._faces:
            current.panels = panels if is_picture(panels) else None
        elif not current.has_faces:
            current.panels, current.has_faces, self._known = panels, True, panels
        elif _same(before, panels) or _only_smaller(before, panels):
            self._candidate = None
        elif self._candidate is not None and _same(self._candidate, panels):
            self._layouts.append(_Layout(max(t - _DELAY_S, current.since), panels, has_faces=True))
            self._candidate, self._known = None, panels
        else:
            self._candidate = panels

    def state(self) -> dict[str, Any]:
        """Return everything that later answers depend on, as JSON-able values."""
        return {
            "layouts": [[x.since, _panels_state(x.panels), x.has_faces] for x in self._layouts],
            "votes": [[list(v.shape), base64.b64encode(zlib.compress(v.tobytes())).decode()] for v in self._votes],
            "samples": self._samples,
            "quick": self._quick,
            "next_s": self._next_s,
            "candidate": _panels_state(self._candidate),
            "known": _panels_state(self._known),
            "faces": _panels_state(tuple(self._faces)),
            "most_faces": self._most_faces,
            "awaits_inset": self._awaits_inset,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._layouts = [_Layout(since, _restored_panels(panels), seen) for since, panels, seen in state["layouts"]]
        self._votes = [
            np.frombuffer(zlib.decompress(base64.b64decode(data)), np.int8).reshape(shape).copy()
            for shape, data in state["votes"]
        ]
        self._samples, self._quick, self._next_s = state["samples"], state["quick"], state["next_s"]
        self._candidate = _restored_panels(state["candidate"])
        self._known = _restored_panels(state["known"]) or ()
        self._faces = list(_restored_panels(state["faces"]) or ())
        self._most_faces, self._awaits_inset = state["most_faces"], state["awaits_inset"]


def _next_multiple(t: float, pause: float) -> float:
    """Return the next multiple of a pause after ``t``: sample times that do not depend on where analysis begins."""
    return (math.floor(t / pause + _SLACK) + 1) * pause - _SLACK * pause


def is_picture(panels: Sequence[Rect], width: float = 1.0, height: float = 1.0) -> bool:
    """Return whether the only panel of a frame of this size is the picture between the bars of a letterbox."""
    return len(panels) == 1 and panels[0].w * panels[0].h >= _PICTURE_LEAST * width * height


def luma_size(width: int, height: int) -> tuple[int, int]:
    """Return width and height of the samples of a frame of this displayed size."""
    scale = min(1.0, LUMA_LONG_SIDE / max(width, height))
    return max(32, round(width * scale)), max(32, round(height * scale))


def _is_between_bars(luma: NDArray[np.float32], panel: Rect) -> bool:
    """Return whether all outside of a panel is plain."""
    height, width = luma.shape
    left, right = round(panel.x * width) - _EDGE, round((panel.x + panel.w) * width) + _EDGE
    top, bottom = round(panel.y * height) - _EDGE, round((panel.y + panel.h) * height) + _EDGE
    outside = luma[:, : max(left, 0)], luma[:, right:], luma[: max(top, 0)], luma[bottom:]
    return all(part.std() < _PLAIN for part in outside if part.size)


def _same(a: Panels, b: Panels) -> bool:
    def near(p: Rect, q: Rect) -> bool:
        return max(abs(p.x - q.x), abs(p.y - q.y), abs(p.x + p.w - q.x - q.w), abs(p.y + p.h - q.y - q.h)) <= _SAME

    return len(a) == len(b) and all(near(p, q) for p, q in zip(a, b, strict=True))


def _only_smaller(before: Panels, after: Panels) -> bool:
    """Return whether panels have only lost parts; an undivided frame counts as one panel."""

    def inside(p: Rect, q: Rect) -> bool:
        across = q.x - _SAME <= p.x and p.x + p.w <= q.x + q.w + _SAME
        return across and q.y - _SAME <= p.y and p.y + p.h <= q.y + q.h + _SAME

    before = before or (Rect(0.0, 0.0, 1.0, 1.0),)
    return len(before) == len(after) and all(any(inside(p, q) for q in before) for p in after)


def _share_panel(a: Rect, b: Rect, panels: Panels) -> bool:
    """Return whether the centres of two faces are in one panel, or both in none."""
    return [holds_centre(p, a) for p in panels] == [holds_centre(p, b) for p in panels]


def _panels_state(panels: Panels | None) -> list[list[float]] | None:
    return None if panels is None else [[p.x, p.y, p.w, p.h] for p in panels]


def _restored_panels(state: list[list[float]] | None) -> Panels | None:
    return None if state is None else tuple(Rect(*p) for p in state)
