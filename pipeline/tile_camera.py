"""The camera of one tile: it follows its person, waits for them, or shows a still while another one is in the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from engines.frames import Rect
from pipeline.camera_path import CameraPath, PathPlanner, Stretch
from pipeline.framing import Array, Framing, contains_centre, contains_face, touches
from pipeline.people import Scene, Seen, Side, Tile
from pipeline.settings import CameraSettings

_UNKNOWN = (np.nan,) * 4
_REMEMBER_S = 2.0                 # the other person's last place counts for so long
_FAR_JUMP = 2.5                   # face heights between two pictures: nobody moves like that
_STALE_S = 5.0                    # after so long a worse still is better than an old one
_CLEARANCE = 0.05                 # crop widths the other person must be away before a still ends


@dataclass(frozen=True, slots=True)
class Still:
    """A picture that a frozen tile may repeat.

    ``quality`` is 2 where the other person is not in it, 1 where they are at its edge, 0 where they fill it too or the
    own face is cut off.
    """

    pts: int
    time: float
    person: int
    crop: Rect
    quality: int


class View:
    """Consecutive pictures as one tile sees them."""

    def __init__(self, side: Side, scenes: Sequence[Scene], times: Sequence[float]) -> None:
        pairs = [(s.left, s.right) if side == "left" else (s.right, s.left) for s in scenes]
        self.scenes = scenes
        self.times = np.array(times)
        self.own: list[Seen | None] = [own for own, _ in pairs]
        self.faces = [own.box if own else None for own, _ in pairs]
        self.others = [other.box if other else None for _, other in pairs]

    def __len__(self) -> int:
        return len(self.scenes)

    @cached_property
    def breaks(self) -> list[bool]:
        """Where no path goes on: at a cut, another person, or a jump that is no movement."""
        return [self._is_break(i) for i in range(len(self))]

    def _is_break(self, i: int) -> bool:
        if self.scenes[i].cut:
            return True
        return i > 0 and is_jump(self.own[i - 1], self.own[i])

    def next_break(self, after: int) -> int:
        return next((i for i in range(after + 1, len(self)) if self.breaks[i]), len(self))

    def next_face(self, start: int) -> int | None:
        """The first picture from ``start`` on that shows the person, in the same take."""
        for i in range(start, len(self)):
            if i > start and self.breaks[i]:
                return None
            if self.faces[i] is not None:
                return i
        return None

    def stretch(self, start: int, stop: int, *, follow: bool = True) -> Stretch:
        faces = self.faces[start:stop] if follow else [None] * (stop - start)
        return Stretch(self.times[start:stop], _boxes(faces), _boxes(self.others[start:stop]))


class TileCamera:
    """One tile's camera. Every picture must be given to ``advance`` exactly once, in order."""

    def __init__(
        self, side: Side, settings: CameraSettings, framing: Framing, *, freeze: bool, bridge_s: float
    ) -> None:
        self._side = side
        self._settings = settings
        self._framing = framing
        self._planner = PathPlanner(settings, framing)
        self._freeze, self._bridge_s = freeze, bridge_s
        self._path: CameraPath | None = None
        self._away = False                    # the path waits for a person not yet seen in this shot
        self._frozen = False
        self._waiting = False
        self._last: Seen | None = None        # the person in the last picture that showed them
        self._last_s = 0.0
        self._covered = False                 # ... and whether the other one overlapped them there
        self._other: tuple[Rect, float] | None = None
        self.still: Still | None = None

    def advance(self, view: View, commit: int) -> list[Tile]:
        """Decide the view's first ``commit`` pictures; the others are only looked at."""
        tiles: list[Tile] = []
        while (i := len(tiles)) < commit:
            if self._is_break(view, i):
                self._end_take(view, i)
            if self._present(view, i):
                tiles += self._follow(view, i, commit)
            else:
                tiles += self._wait(view, i, commit)
        return tiles

    def _is_break(self, view: View, i: int) -> bool:
        return view.breaks[i] or (i == 0 and self._follows_directly(view) and is_jump(self._last, view.own[0]))

    def _follows_directly(self, view: View) -> bool:
        return not self._waiting and view.faces[0] is not None

    def _end_take(self, view: View, i: int) -> None:
        self._path, self._frozen, self._away = None, False, False
        self._last_s = float(view.times[i])
        if view.scenes[i].cut:
            self._other = None

    def _present(self, view: View, i: int) -> bool:
        """Whether the person is there, or back so soon that the camera goes on as if they were."""
        if view.faces[i] is not None:
            return True
        back = view.next_face(i)
        if back is None or self._frozen or self._away:
            return False
        if self._path is None:
            return not self._waiting and float(view.times[back] - view.times[i]) <= self._bridge_s
        return self._bridged(self._last, self._last_s, view, back)

    def _bridged(self, last: Seen | None, last_s: float, view: View, back: int) -> bool:
        """Whether the path may lead from the last sight of the person to picture ``back``."""
        return float(view.times[back]) - last_s <= self._bridge_s and not is_jump(last, view.own[back])

    def _run(self, view: View, i: int, commit: int) -> int:
        """Where the phase that begins at picture ``i`` ends, at most ``commit``."""
        j = i + 1
        while j < commit and not view.breaks[j] and (view.faces[j] is None) == (view.faces[i] is None):
            j += 1
        return j

    # following

    def _follow(self, view: View, i: int, commit: int) -> list[Tile]:
        path = self._path
        if path is None or (self._waiting and view.faces[i] is not None and not self._in_shot(view, i)):
            path = self._path = CameraPath(float(view.times[i]))
        self._waiting = self._frozen = self._away = False
        j = self._run(view, i, commit)
        self._planner.extend(path, view.stretch(i, self._horizon(view, i)), j - i)
        crops = self._crops(path, view.times[i:j])
        tiles = [self._live(view, k, crop) for k, crop in zip(range(i, j), crops, strict=True)]
        path.forget_before(float(view.times[j - 1]))
        return tiles

    def _horizon(self, view: View, i: int) -> int:
        """Where the take that runs through picture ``i`` ends, as far as one can see."""
        end, last, last_s = view.next_break(i), view.own[i], float(view.times[i])
        for k in range(i, end):
            if view.faces[k] is not None:
                if not self._bridged(last, last_s, view, k):
                    return k
                last, last_s = view.own[k], float(view.times[k])
        return end

    def _in_shot(self, view: View, i: int) -> bool:
        """Whether the waiting live camera already shows the person who comes back."""
        face = view.faces[i]
        if self._frozen or self._path is None or face is None:
            return False
        crop = self._held_crop(view, i, self._path)
        return contains_face(crop, face, self._framing.width, self._framing.height)

    def _held_crop(self, view: View, i: int, path: CameraPath) -> Rect:
        """What the waiting camera shows at picture ``i``."""
        self._planner.extend(path, view.stretch(i, i + 1, follow=False), 1)
        return self._crops(path, view.times[i : i + 1])[0]

    def _live(self, view: View, i: int, crop: Rect) -> Tile:
        own, face, other = view.own[i], view.faces[i], view.others[i]
        self._note_other(view, i)
        if own is None or face is None:
            return Tile(own.person if own else None, None, crop, "held")
        self._last, self._last_s = own, float(view.times[i])
        self._covered = other is not None and touches(face, other)
        self._keep_still(Still(view.scenes[i].pts, self._last_s, own.person, crop, self._quality(crop, face, other)))
        return Tile(own.person, face, crop, own.source)

    def _quality(self, crop: Rect, face: Rect, other: Rect | None) -> int:
        if not contains_face(crop, face, self._framing.width, self._framing.height):
            return 0
        if other is None or not touches(crop, other):
            return 2
        return 0 if contains_centre(crop, other, _CLEARANCE) else 1

    def _keep_still(self, new: Still) -> None:
        old = self.still
        if old is None or old.person != new.person or new.quality >= old.quality or new.time - old.time > _STALE_S:
            self.still = new

    # waiting

    def _wait(self, view: View, i: int, commit: int) -> list[Tile]:
        self._waiting = True
        j = self._run(view, i, commit)
        if self._path is None or self._away:
            tiles = self._wait_unseen(view, i, j)
        else:
            tiles = self._hold(view, i, j, self._path)
        return tiles

    def _hold(self, view: View, i: int, j: int, path: CameraPath) -> list[Tile]:
        """Let the camera come to rest where it is; show a still while the other person is in its picture."""
        self._planner.extend(path, view.stretch(i, j, follow=False), j - i)
        tiles = []
        for k, crop in zip(range(i, j), self._crops(path, view.times[i:j]), strict=True):
            self._note_other(view, k)
            self._frozen = self._should_freeze(view, k, crop)
            tiles.append(self._still_tile(view, k) if self._frozen else Tile(_person(view, k), None, crop, "held"))
        path.forget_before(float(view.times[j - 1]))
        return tiles

    def _should_freeze(self, view: View, i: int, crop: Rect) -> bool:
        if self._freeze:
            return True
        if not self._frozen:
            return self._intruded(float(view.times[i]), crop, 0.0) and not self._passing(float(view.times[i]))
        clear_until = float(view.times[i]) + self._settings.unfreeze_s
        ahead = [k for k in range(i, view.next_break(i)) if float(view.times[k]) <= clear_until]
        soon = (view.others[k] for k in ahead)
        return self._intruded(float(view.times[i]), crop, _CLEARANCE) or any(
            o is not None and contains_centre(crop, o, _CLEARANCE) for o in soon
        )

    def _passing(self, time: float) -> bool:
        """Whether the person was lost because the other one stepped before them, just now."""
        return self._covered and time - self._last_s <= self._bridge_s

    def _intruded(self, time: float, crop: Rect, margin: float) -> bool:
        if self._other is None or time - self._other[1] > _REMEMBER_S:
            return False
        return contains_centre(crop, self._other[0], margin)

    def _note_other(self, view: View, i: int) -> None:
        box = view.others[i]
        if box is not None:
            self._other = (box, float(view.times[i]))

    def _still_tile(self, view: View, i: int) -> Tile:
        person = _person(view, i)
        if self.still is None or (person is not None and person != self.still.person):
            return Tile(person, None, self._framing.centred_split(self._side), "placeholder")
        return Tile(person, None, self.still.crop, "frozen", self.still.pts)

    def _wait_unseen(self, view: View, i: int, j: int) -> list[Tile]:
        """The person has not been in this shot: their last still, else a part of the picture without the other one."""
        for k in range(i, j):
            self._note_other(view, k)
        own = view.own[i]
        if own is not None and self.still is not None and self.still.person == own.person:
            self._frozen = True
            return [self._still_tile(view, k) for k in range(i, j)]
        crop = self._empty_part(view, i)
        if crop is None:
            self._path, self._away = None, False
            return [self._still_tile(view, k) for k in range(i, j)]
        self._path, self._away = self._planner.resting(float(view.times[i]), crop), True
        return [Tile(_person(view, k), None, crop, "held") for k in range(i, j)]

    def _empty_part(self, view: View, i: int) -> Rect | None:
        """A half of the picture in which the other person does not appear, the tile's own half if possible."""
        end = view.next_break(i)
        others = [o for o in view.others[i:end] if o is not None]
        if self._other is not None:
            others.append(self._other[0])
        halves = [self._framing.centred_split(side) for side in (self._side, _opposite(self._side))]
        if self._path is not None:
            halves.insert(0, self._held_crop(view, i, self._path))
        return next((c for c in halves if not any(contains_centre(c, o, _CLEARANCE) for o in others)), None)

    def _crops(self, path: CameraPath, times: Array) -> list[Rect]:
        return [self._framing.crop(float(cx), float(cy), float(w)) for w, cx, cy in path.at(times)]

    # state

    def state(self) -> dict[str, Any]:
        last, other, still = self._last, self._other, self.still
        return {
            "path": self._path.state() if self._path else None,
            "away": self._away,
            "frozen": self._frozen,
            "waiting": self._waiting,
            "last": [last.person, rect_state(last.box), last.source] if last else None,
            "last_s": self._last_s,
            "covered": self._covered,
            "other": [rect_state(other[0]), other[1]] if other else None,
            "still": [still.pts, still.time, still.person, rect_state(still.crop), still.quality] if still else None,
        }

    def restore(self, state: dict[str, Any]) -> None:
        last, other, still = state["last"], state["other"], state["still"]
        self._path = CameraPath.restored(state["path"]) if state["path"] else None
        self._away, self._frozen, self._waiting = state["away"], state["frozen"], state["waiting"]
        self._last = Seen(last[0], Rect(*last[1]), last[2]) if last else None
        self._last_s, self._covered = state["last_s"], state["covered"]
        self._other = (Rect(*other[0]), other[1]) if other else None
        self.still = Still(still[0], still[1], still[2], Rect(*still[3]), still[4]) if still else None


def is_jump(before: Seen | None, after: Seen | None) -> bool:
    """Whether a tile's person is another one than before, or somewhere else without having moved there."""
    if before is None or after is None:
        return False
    if before.person != after.person:
        return True
    if before.box is None or after.box is None:
        return False
    a, b = before.box, after.box
    return bool(np.hypot(a.cx - b.cx, a.cy - b.cy) > _FAR_JUMP * max(a.h, b.h))


def rect_state(rect: Rect | None) -> list[float] | None:
    return None if rect is None else [rect.x, rect.y, rect.w, rect.h]


def _boxes(rects: Sequence[Rect | None]) -> Array:
    return np.array([_UNKNOWN if r is None else (r.x, r.y, r.w, r.h) for r in rects]).reshape(-1, 4)


def _person(view: View, i: int) -> int | None:
    own = view.own[i]
    return own.person if own else None


def _opposite(side: Side) -> Side:
    return "right" if side == "left" else "left"
