"""The camera of one tile: it follows its person, waits for them, or repeats an earlier frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from engines.frames import Rect, Size
from pipeline.camera.bands import Array
from pipeline.camera.camera_path import CameraPath, PathPlanner, Stretch
from pipeline.camera.framing import Framing
from pipeline.camera.tile_view import Trace, View, boxes, is_jump, is_other_panel, rect_state
from pipeline.camera.visibility import contains_centre, contains_face, touches
from pipeline.panels.panel_detector import is_picture
from pipeline.people import Seen, Side, Tile
from pipeline.settings import CameraSettings

_OTHER_MEMORY_S = 2.0  # validity of the other person's last position
_STALE_S = 5.0  # age from which a worse freeze frame replaces an old one
_FRAMINGS_MOST = 64  # sizes and panels that are remembered
_UNKNOWN_SHARES = (math.nan, math.nan)  # smallest and largest share of its tile that a face can have
_CLEARANCE = 0.05  # crop widths between the other person and the crop before a freeze ends


@dataclass(frozen=True, slots=True)
class FreezeFrame:
    """A frame that a frozen tile may repeat.

    Attributes:
        time: seconds on the camera's clock.
        quality: 2 without the other person, 1 with them at its edge, 0 with their face inside or the own face cut off.
    """

    pts: int
    time: float
    person: int
    crop: Rect
    quality: int


class Framings:
    """Framing and path planner for each size of frame and panel; ``usual`` is the size of scenes that name none."""

    def __init__(self, settings: CameraSettings, usual: Size) -> None:
        self._settings = settings
        self.usual = usual
        self._known: dict[tuple[Size, Rect | None], tuple[Framing, PathPlanner]] = {}

    def of(self, frame: Size | None, panel: Rect | None = None) -> tuple[Framing, PathPlanner]:
        size = frame or self.usual
        if (size, panel) not in self._known:
            while len(self._known) >= _FRAMINGS_MOST:
                del self._known[next(iter(self._known))]
            framing = Framing(self._settings, *size, panel)
            self._known[size, panel] = framing, PathPlanner(self._settings, framing)
        return self._known[size, panel]


class TileCamera:
    """The camera of one tile. ``advance`` must commit every frame exactly once, in order."""

    def __init__(
        self, side: Side, settings: CameraSettings, framings: Framings, *, freeze: bool, bridge_s: float
    ) -> None:
        self._side = side
        self._settings = settings
        self._framings = framings
        self._framing, self._planner = framings.of(None)
        self._freeze, self._bridge_s = freeze, bridge_s
        self._path: CameraPath | None = None
        self._resting_elsewhere = False  # the path rests on a crop without the person, who has not been in this shot
        self._frozen = False
        self._waiting = False
        self._last: Seen | None = None  # the person in the last frame that showed them
        self._trace = Trace()  # their positions in this take
        self._last_other: tuple[Rect, float] | None = None
        self._panel: Rect | None = None  # the person's panel in the last frame
        self._partner = _UNKNOWN_SHARES  # of the other face, when it was seen last
        self.freeze_frame: FreezeFrame | None = None

    def advance(self, view: View, commit: int) -> list[Tile]:
        """Return the tiles of the view's first ``commit`` frames; the plan also uses the later ones."""
        tiles: list[Tile] = []
        while (i := len(tiles)) < commit:
            is_break = self._is_break(view, i)
            self._panel = self._panel_at(view, i)
            self._framing, self._planner = self._framings.of(view.scenes[i].frame, self._panel)
            if is_break:
                self._end_take(view, i)
            if self._present(view, i):
                tiles += self._follow(view, i, commit)
            else:
                tiles += self._wait(view, i, commit)
        return tiles

    def _panel_at(self, view: View, i: int) -> Rect | None:
        """Return the person's panel: where they are, will be next or were last."""
        panels = view.scenes[i].panels
        if not panels:
            return None
        face = view.next_face(i)
        panel = view.panels[face] if face is not None else self._panel
        if panel in panels:
            return panel
        return panels[0] if is_picture(panels, *(view.scenes[i].frame or self._framings.usual)) else None

    def _stretch(self, view: View, start: int, faces: Sequence[Rect | None]) -> Stretch:
        """Return the frames from ``start`` on, with these faces of the tile's person."""
        stop = start + len(faces)
        others = self._recent_neighbours(view, start, stop)
        partner = self._partner_shares(view, start, stop)
        return Stretch(view.times[start:stop], boxes(faces), boxes(others), partner, view.gaze[start:stop])

    def _recent_neighbours(self, view: View, start: int, stop: int) -> list[Rect | None]:
        """Return the other person's boxes in the same panel; who is out of sight stays for a while."""
        neighbours = view.neighbours(start, stop)
        last = self._last_other
        for n, box in enumerate(neighbours):
            time = float(view.times[start + n])
            if box is not None:
                last = box, time
            elif last is not None and time - last[1] <= _OTHER_MEMORY_S and not view.scenes[start + n].panels:
                neighbours[n] = last[0]
        return neighbours

    def _partner_shares(self, view: View, start: int, stop: int) -> Array:
        """Return the smallest and largest share of its tile that the other face can have, shape (N, 2)."""
        shares, last = [], self._partner
        for i in range(start, stop):
            last = self._other_shares(view, i) or last
            shares.append(last)
        return np.array(shares).reshape(-1, 2)

    def _other_shares(self, view: View, i: int) -> tuple[float, float] | None:
        other = view.others[i]
        if other is None:
            return None
        framing, _ = self._framings.of(view.scenes[i].frame, view.other_panels[i])
        return framing.shares(other.h)

    def _is_break(self, view: View, i: int) -> bool:
        if view.breaks[i] or i > 0 or not self._follows_directly(view):
            return view.breaks[i]
        return is_jump(self._last, view.own[0]) or is_other_panel(self._panel, view.panels[0])

    def _follows_directly(self, view: View) -> bool:
        return not self._waiting and view.faces[0] is not None

    def _end_take(self, view: View, i: int) -> None:
        self._path, self._last = None, None
        self._waiting = self._frozen = self._resting_elsewhere = False
        self._trace.reset(float(view.times[i]))
        if view.scenes[i].cut:
            self._last_other = None

    def _present(self, view: View, i: int) -> bool:
        """Return whether the person is visible, or back so soon that the path continues."""
        if view.faces[i] is not None:
            return True
        back = view.next_face(i)
        if back is None or self._frozen or self._resting_elsewhere:
            return False
        if self._path is None:
            return not self._waiting and float(view.times[back] - view.times[i]) <= self._bridge_s
        return self._bridged(self._last, self._trace.last_s, view, back)

    def _bridged(self, last: Seen | None, last_s: float, view: View, back: int) -> bool:
        """Return whether the path may continue from the person's last position to frame ``back``."""
        return float(view.times[back]) - last_s <= self._bridge_s and not is_jump(last, view.own[back])

    def _phase_end(self, view: View, i: int, commit: int) -> int:
        """Return the end of the phase (following or waiting) that begins at frame ``i``, at most ``commit``."""
        j = i + 1
        while j < commit and not view.breaks[j] and (view.faces[j] is None) == (view.faces[i] is None):
            j += 1
        return j

    # following

    def _follow(self, view: View, i: int, commit: int) -> list[Tile]:
        path = self._path
        if path is None or (self._waiting and view.faces[i] is not None and not self._is_in_crop(view, i)):
            path = self._path = CameraPath(float(view.times[i]))
        self._waiting = self._frozen = self._resting_elsewhere = False
        j = self._phase_end(view, i, commit)
        self._planner.extend(path, self._stretch(view, i, self._expected(view, i, self._take_end(view, i))), j - i)
        crops = self._crops(path, view.times[i:j])
        tiles = [self._live(view, k, crop) for k, crop in zip(range(i, j), crops, strict=True)]
        path.forget_before(float(view.times[j - 1]))
        return tiles

    def _take_end(self, view: View, i: int) -> int:
        """Return the end of the take that contains frame ``i``, within the view."""
        end, last, last_s = view.next_break(i), view.own[i], float(view.times[i])
        for k in range(i, end):
            if view.faces[k] is not None:
                if not self._bridged(last, last_s, view, k):
                    return k
                last, last_s = view.own[k], float(view.times[k])
        return end

    def _gap_end(self, view: View, i: int) -> int:
        """Return the end of the gap that contains frame ``i``, within the view."""
        back = view.next_face(i)
        return view.next_break(i) if back is None else back

    def _expected(self, view: View, i: int, end: int) -> list[Rect | None]:
        """Return the person's boxes from frame ``i`` to ``end``.

        A person who is lost behind the other one is extrapolated; other gaps stay None.
        """
        faces, trace = view.faces[i:end], Trace.restored(self._trace.state())
        for n, k in enumerate(range(i, end)):
            time, face = float(view.times[k]), view.faces[k]
            if face is not None:
                trace.note(time, face, view.others[k])
            elif trace.covered and time - trace.last_s <= self._bridge_s and self._gap_end(view, k) >= end:
                faces[n] = trace.extrapolate(time)
        return faces

    def _is_in_crop(self, view: View, i: int) -> bool:
        """Return whether the waiting live camera already shows the person who comes back."""
        face = view.faces[i]
        if self._frozen or self._path is None or face is None:
            return False
        crop = self._held_crop(view, i, self._path)
        return contains_face(crop, face, self._framing.width, self._framing.height)

    def _held_crop(self, view: View, i: int, path: CameraPath) -> Rect:
        """Return the crop of the waiting camera at frame ``i``."""
        self._planner.extend(path, self._stretch(view, i, [None]), 1)
        return self._crops(path, view.times[i : i + 1])[0]

    def _live(self, view: View, i: int, crop: Rect) -> Tile:
        own, face, other = view.own[i], view.faces[i], view.others[i]
        self._note_other(view, i)
        if own is None or face is None:
            return Tile(own.person if own else None, None, crop, "held")
        self._last = own
        self._trace.note(float(view.times[i]), face, other)
        quality = self._quality(crop, face, other)
        self._store_freeze_frame(FreezeFrame(view.scenes[i].pts, self._trace.last_s, own.person, crop, quality))
        return Tile(own.person, face, crop, own.source)

    def _quality(self, crop: Rect, face: Rect, other: Rect | None) -> int:
        if not contains_face(crop, face, self._framing.width, self._framing.height):
            return 0
        if other is None or not touches(crop, other):
            return 2
        return 0 if contains_centre(crop, other, _CLEARANCE) else 1

    def _store_freeze_frame(self, new: FreezeFrame) -> None:
        old = self.freeze_frame
        if old is None or old.person != new.person or new.quality >= old.quality or new.time - old.time > _STALE_S:
            self.freeze_frame = new

    # waiting

    def _wait(self, view: View, i: int, commit: int) -> list[Tile]:
        self._waiting = True
        j = self._phase_end(view, i, commit)
        if self._path is None or self._resting_elsewhere:
            tiles = self._wait_unseen(view, i, j)
        else:
            tiles = self._hold(view, i, j, self._path)
        return tiles

    def _hold(self, view: View, i: int, j: int, path: CameraPath) -> list[Tile]:
        """Let the camera come to rest; freeze while the other person is in its crop."""
        self._planner.extend(path, self._stretch(view, i, self._expected(view, i, self._gap_end(view, i))), j - i)
        tiles = []
        for k, crop in zip(range(i, j), self._crops(path, view.times[i:j]), strict=True):
            self._note_other(view, k)
            self._frozen = self._should_freeze(view, k, crop)
            tiles.append(self._frozen_tile(view, k) if self._frozen else Tile(_person(view, k), None, crop, "held"))
        path.forget_before(float(view.times[j - 1]))
        return tiles

    def _should_freeze(self, view: View, i: int, crop: Rect) -> bool:
        if self._freeze:
            return True
        if not self._frozen:
            return self._intruded(float(view.times[i]), crop, 0.0) and not self._just_covered(float(view.times[i]))
        clear_until = float(view.times[i]) + self._settings.unfreeze_s
        ahead = [k for k in range(i, view.next_break(i)) if float(view.times[k]) <= clear_until]
        soon = (view.others[k] for k in ahead)
        return self._intruded(float(view.times[i]), crop, _CLEARANCE) or any(
            o is not None and contains_centre(crop, o, _CLEARANCE) for o in soon
        )

    def _just_covered(self, time: float) -> bool:
        """Return whether the other person has just covered this one."""
        return self._trace.covered and time - self._trace.last_s <= self._bridge_s

    def _intruded(self, time: float, crop: Rect, margin: float) -> bool:
        if self._last_other is None or time - self._last_other[1] > _OTHER_MEMORY_S:
            return False
        return contains_centre(crop, self._last_other[0], margin)

    def _note_other(self, view: View, i: int) -> None:
        box = view.others[i]
        if box is not None:
            self._last_other = (box, float(view.times[i]))
            self._partner = self._other_shares(view, i) or self._partner

    def _frozen_tile(self, view: View, i: int) -> Tile:
        person = _person(view, i)
        if self.freeze_frame is None or (person is not None and person != self.freeze_frame.person):
            return Tile(person, None, self._framing.centred_split(self._side), "placeholder")
        return Tile(person, None, self.freeze_frame.crop, "frozen", self.freeze_frame.pts)

    def _wait_unseen(self, view: View, i: int, j: int) -> list[Tile]:
        """Return tiles for a person who has not been in this shot: frozen, or a crop without the other person."""
        for k in range(i, j):
            self._note_other(view, k)
        own = view.own[i]
        if own is not None and self.freeze_frame is not None and self.freeze_frame.person == own.person:
            self._frozen = True
            return [self._frozen_tile(view, k) for k in range(i, j)]
        crop = self._free_crop(view, i)
        if crop is None:
            self._path, self._resting_elsewhere = None, False
            return [self._frozen_tile(view, k) for k in range(i, j)]
        self._path, self._resting_elsewhere = self._planner.at_rest(float(view.times[i]), crop), True
        return [Tile(_person(view, k), None, crop, "held") for k in range(i, j)]

    def _free_crop(self, view: View, i: int) -> Rect | None:
        """Return a panel or a half of the frame without the other person, the tile's own side if possible."""
        end = view.next_break(i)
        others = [o for o in view.others[i:end] if o is not None]
        if self._last_other is not None:
            others.append(self._last_other[0])
        halves = [self._framing.centred_split(side) for side in (self._side, _opposite(self._side))]
        halves[:0] = self._panel_crops(view, i)
        if self._path is not None:
            halves.insert(0, self._held_crop(view, i, self._path))
        return next((c for c in halves if not any(contains_centre(c, o, _CLEARANCE) for o in others)), None)

    def _panel_crops(self, view: View, i: int) -> list[Rect]:
        """Return the largest crop in the centre of each panel, those of the tile's own side first."""
        frame, panels = view.scenes[i].frame, view.scenes[i].panels
        if is_picture(panels, *(frame or self._framings.usual)):
            return []
        by_side = sorted(panels, key=lambda p: p.cx, reverse=self._side == "right")
        framings = [self._framings.of(frame, panel)[0] for panel in by_side]
        return [framing.crop(framing.area.cx, framing.area.cy, framing.widest) for framing in framings]

    def _crops(self, path: CameraPath, times: Array) -> list[Rect]:
        crop = partial(self._framing.crop, extends=path.extends)
        return [crop(float(cx), float(cy), float(w)) for w, cx, cy in path.at(times)]

    # state

    def state(self) -> dict[str, Any]:
        last, other, still = self._last, self._last_other, self.freeze_frame
        return {
            "path": self._path.state() if self._path else None,
            "away": self._resting_elsewhere,
            "frozen": self._frozen,
            "waiting": self._waiting,
            "last": [last.person, rect_state(last.box), last.source] if last else None,
            "trace": self._trace.state(),
            "panel": rect_state(self._panel),
            "partner": None if math.isnan(self._partner[0]) else list(self._partner),
            "other": [rect_state(other[0]), other[1]] if other else None,
            "still": [still.pts, still.time, still.person, rect_state(still.crop), still.quality] if still else None,
        }

    def restore(self, state: dict[str, Any]) -> None:
        last, other, still = state["last"], state["other"], state["still"]
        self._path = CameraPath.restored(state["path"]) if state["path"] else None
        self._resting_elsewhere, self._frozen, self._waiting = state["away"], state["frozen"], state["waiting"]
        self._last = Seen(last[0], Rect(*last[1]), last[2]) if last else None
        self._trace = Trace.restored(state["trace"])
        self._panel = Rect(*state["panel"]) if state["panel"] else None
        self._partner = tuple(state["partner"]) if state["partner"] else _UNKNOWN_SHARES
        self._last_other = (Rect(*other[0]), other[1]) if other else None
        self.freeze_frame = FreezeFrame(still[0], still[1], still[2], Rect(*still[3]), still[4]) if still else None


def _person(view: View, i: int) -> int | None:
    own = view.own[i]
    return own.person if own else None


def _opposite(side: Side) -> Side:
    return "right" if side == "left" else "left"
