"""The camera of one tile: it follows its person, waits for them, or repeats an earlier frame."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from engines.frames import Rect
from pipeline.camera.bands import Array
from pipeline.camera.camera_path import CameraPath, Stretch
from pipeline.camera.extension import picture_in_tile
from pipeline.camera.framings import Framings
from pipeline.camera.freeze_frame import FreezeFrame, frames_well, still_quality
from pipeline.camera.other_person import OtherPerson
from pipeline.camera.tile_view import Trace, View, boxes, is_jump, is_other_panel, rect_state
from pipeline.camera.visibility import contains_centre, contains_face
from pipeline.panels.panel_detector import is_picture
from pipeline.people import Seen, Side, Tile
from pipeline.settings import CameraSettings

_EXIT_SHARE = 0.4  # of the usual wait for somebody who has left through a side
_LEAD_IN_S = 0.1  # before a face is found, its person comes into the picture
_EPSILON_S = 1e-6  # of rounding errors
_EDGE = 0.25  # of a face's width: who was seen nearer to a side of the picture has left through it
_CLEARANCE = 0.05  # crop widths between the other person and the crop before a freeze ends


class TileCamera:
    """The camera of one tile. ``advance`` must commit every frame exactly once, in order."""

    def __init__(
        self, side: Side, settings: CameraSettings, framings: Framings, *, hold_s: float, bridge_s: float
    ) -> None:
        self._side = side
        self._settings = settings
        self._framings = framings
        self._framing, self._planner = framings.of(None)
        self._hold_s, self._bridge_s = hold_s, bridge_s
        self._path: CameraPath | None = None
        self._resting_elsewhere = False  # the path rests on a crop without the person, who has not been in this shot
        self._frozen = False
        self._waiting = False
        self._last: Seen | None = None  # the person in the last frame that showed them
        self._trace = Trace()  # their positions in this take
        self._other = OtherPerson(framings)
        self._panel: Rect | None = None  # the person's panel in the last frame
        self.freeze_frame: FreezeFrame | None = None
        self._still_crop: Rect | None = None  # of a still in a new shot; None: that of the freeze frame

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
        others = self._other.recent_boxes(view, start, stop)
        partner = self._other.shares(view, start, stop)
        return Stretch(view.times[start:stop], boxes(faces), boxes(others), partner, view.gaze[start:stop])

    def _is_break(self, view: View, i: int) -> bool:
        if view.breaks[i] or i > 0 or not self._follows_directly(view):
            return view.breaks[i]
        return is_jump(self._last, view.own[0]) or is_other_panel(self._panel, view.panels[0])

    def _follows_directly(self, view: View) -> bool:
        return not self._waiting and view.faces[0] is not None

    def _end_take(self, view: View, i: int) -> None:
        self._path, self._last, self._still_crop = None, None, None
        self._waiting = self._frozen = self._resting_elsewhere = False
        self._trace.reset(view.seconds[i])
        if view.scenes[i].cut:
            self._other.begin_shot()

    def _present(self, view: View, i: int) -> bool:
        """Return whether the person is visible, or back so soon that the tile shows them."""
        back = view.next_face(i)
        if back is None or (self._frozen and view.is_glimpse(back)):
            return False
        if back == i:
            return True
        if self._frozen or self._resting_elsewhere:
            return i >= self._lead_in(view, back)
        if self._path is None:
            return not self._waiting and view.seconds[back] - view.seconds[i] <= self._bridge_s
        return self._bridged(self._last, self._trace.last_s, view, back)

    def _lead_in(self, view: View, back: int) -> int:
        """Return the frame at which a still ends for a person whose face is back in frame ``back``."""
        return bisect_left(view.seconds, view.seconds[back] - _LEAD_IN_S - _EPSILON_S)

    def _bridged(self, last: Seen | None, last_s: float, view: View, back: int) -> bool:
        """Return whether the path may continue from the person's last position to frame ``back``."""
        return view.seconds[back] - last_s <= self._bridge_s and not is_jump(last, view.own[back])

    def _phase_end(self, view: View, i: int, commit: int) -> int:
        """Return the end of the phase (following or waiting) that begins at frame ``i``, at most ``commit``."""
        j = i + 1
        while j < commit and not view.breaks[j] and (view.faces[j] is None) == (view.faces[i] is None):
            j += 1
        return j

    # following

    def _follow(self, view: View, i: int, commit: int) -> list[Tile]:
        path = self._path
        if path is None or self._resting_elsewhere or (self._waiting and not self._is_in_crop(view, i)):
            path = self._path = self._new_path(view, i)
        self._still_crop = None
        self._waiting = self._frozen = self._resting_elsewhere = False
        j = self._phase_end(view, i, commit)
        self._planner.extend(path, self._stretch(view, i, self._expected(view, i, self._take_end(view, i))), j - i)
        crops = self._crops(path, view.times[i:j])
        tiles = [self._live(view, k, crop) for k, crop in zip(range(i, j), crops, strict=True)]
        path.forget_before(view.seconds[j - 1])
        return tiles

    def _new_path(self, view: View, i: int) -> CameraPath:
        """Return the path of a person who comes back: it goes on from the still if that is well framed for them."""
        time, back, still = view.seconds[i], view.next_face(i), self.freeze_frame
        if self._frozen and self._path is not None and still is not None and back is not None:
            face = view.faces[back]
            if face is not None and picture_in_tile(still.crop) is None and frames_well(still.crop, face):
                return self._planner.at_rest(time, still.crop)
        return CameraPath(time)

    def _take_end(self, view: View, i: int) -> int:
        """Return the end of the take that contains frame ``i``, within the view."""
        end, last, last_s = view.next_break(i), view.own[i], view.seconds[i]
        for k in range(i, end):
            if view.faces[k] is not None:
                is_back = k > i and view.faces[k - 1] is None
                if is_back and not self._bridged(last, last_s, view, k):
                    return k
                last, last_s = view.own[k], view.seconds[k]
        return end

    def _gap_end(self, view: View, i: int) -> int:
        """Return the end of the gap that contains frame ``i``, within the view."""
        back = view.next_face(i)
        return view.next_break(i) if back is None else back

    def _expected(self, view: View, i: int, end: int) -> list[Rect | None]:
        """Return the person's boxes from frame ``i`` to ``end``.

        A person who is lost behind the other one is extrapolated; other gaps stay None.
        """
        faces = view.faces[i:end]
        if all(faces):
            return faces
        trace = Trace.restored(self._trace.state())
        for n, k in enumerate(range(i, end)):
            time, face = view.seconds[k], view.faces[k]
            if face is not None:
                trace.note(time, face, view.others[k])
            elif trace.covered and time - trace.last_s <= self._bridge_s and self._gap_end(view, k) >= end:
                faces[n] = trace.extrapolate(time)
        return faces

    def _is_in_crop(self, view: View, i: int) -> bool:
        """Return whether the waiting live camera already shows the person who comes back, as far as they are seen."""
        face = view.faces[i]
        if self._frozen or self._path is None:
            return False
        if face is None:
            return True
        crop = self._held_crop(view, i, self._path)
        return contains_face(crop, face, self._framing.width, self._framing.height)

    def _held_crop(self, view: View, i: int, path: CameraPath) -> Rect:
        """Return the crop of the waiting camera at frame ``i``."""
        self._planner.extend(path, self._stretch(view, i, [None]), 1)
        return self._crops(path, view.times[i : i + 1])[0]

    def _live(self, view: View, i: int, crop: Rect) -> Tile:
        own, face, other = view.own[i], view.faces[i], view.others[i]
        self._other.note(view, i)
        if own is None or face is None:
            return Tile(own.person if own else None, None, crop, "held")
        self._last = own
        self._trace.note(view.seconds[i], face, other)
        self._store_freeze_frame(view, i, crop)
        return Tile(own.person, face, crop, own.source)

    def _store_freeze_frame(self, view: View, i: int, crop: Rect) -> None:
        own, face = view.own[i], view.faces[i]
        if own is None or face is None:
            return
        inside = contains_face(crop, face, self._framing.width, self._framing.height)
        quality = still_quality(crop, face, view.others[i], inside=inside, source=own.source)
        pts, narrowest = view.scenes[i].pts, self._framing.narrowest
        new = FreezeFrame(pts, self._trace.last_s, own.person, crop, face, narrowest, quality)
        if self.freeze_frame is None or self.freeze_frame.is_replaced_by(new):
            self.freeze_frame = new

    # waiting

    def _wait(self, view: View, i: int, commit: int) -> list[Tile]:
        self._waiting = True
        back, j = view.next_face(i), self._phase_end(view, i, commit)
        if back is not None and i < (lead_in := self._lead_in(view, back)) < j:
            j = lead_in
        if self._path is None or self._resting_elsewhere:
            tiles = self._wait_unseen(view, i, j)
        else:
            tiles = self._hold(view, i, j, self._path)
        return tiles

    def _hold(self, view: View, i: int, j: int, path: CameraPath) -> list[Tile]:
        """Let the camera come to rest; freeze while the other person is in its crop, or when it has waited enough."""
        end = max(j, self._gap_end(view, i))
        self._planner.extend(path, self._stretch(view, i, self._expected(view, i, end)), j - i)
        tiles = []
        for k, crop in zip(range(i, j), self._crops(path, view.times[i:j]), strict=True):
            self._other.note(view, k)
            self._frozen = self._should_freeze(view, k, crop)
            tiles.append(self._frozen_tile(view, k) if self._frozen else Tile(_person(view, k), None, crop, "held"))
        path.forget_before(view.seconds[j - 1])
        return tiles

    def _should_freeze(self, view: View, i: int, crop: Rect) -> bool:
        time = view.seconds[i]
        if self._is_away(view, i):
            return True
        if not self._frozen:
            return self._other.intrudes(time, crop, 0.0) and not self._just_covered(time)
        clear_until = time + self._settings.unfreeze_s
        ahead = [k for k in range(i, view.next_break(i)) if view.seconds[k] <= clear_until]
        soon = (o for o in (view.others[k] for k in ahead) if o is not None)
        return self._other.intrudes(time, crop, _CLEARANCE) or any(contains_centre(crop, o, _CLEARANCE) for o in soon)

    def _is_away(self, view: View, i: int) -> bool:
        """Return whether the camera has waited enough, and goes on waiting for as long as it sees ahead."""
        hold_s = self._hold_s * (_EXIT_SHARE if self._has_left() else 1.0)
        if view.seconds[i] - self._trace.last_s < hold_s:
            return False
        return self._frozen or hold_s == 0 or view.next_face(i) is None

    def _has_left(self) -> bool:
        """Return whether the person was last seen at a side of the picture."""
        face, area = self._last.box if self._last else None, self._framing.area
        if face is None:
            return False
        return min(face.x - area.x, area.x + area.w - face.x - face.w) < _EDGE * face.w

    def _just_covered(self, time: float) -> bool:
        """Return whether the other person has just covered this one."""
        return self._trace.covered and time - self._trace.last_s <= self._bridge_s

    def _frozen_tile(self, view: View, i: int) -> Tile:
        person = _person(view, i)
        if self.freeze_frame is None or (person is not None and person != self.freeze_frame.person):
            return Tile(person, None, self._framing.centred_split(self._side), "placeholder")
        return Tile(person, None, self._still_crop or self.freeze_frame.crop, "frozen", self.freeze_frame.pts)

    def _wait_unseen(self, view: View, i: int, j: int) -> list[Tile]:
        """Return tiles for a person who has not been in this shot: frozen, or a crop without the other person."""
        for k in range(i, j):
            self._other.note(view, k)
        own = view.own[i]
        if own is not None and self.freeze_frame is not None and self.freeze_frame.person == own.person:
            self._begin_still(self.freeze_frame)
            return [self._frozen_tile(view, k) for k in range(i, j)]
        crop = self._free_crop(view, i)
        if crop is None:
            self._path, self._resting_elsewhere = None, False
            return [self._frozen_tile(view, k) for k in range(i, j)]
        self._path, self._resting_elsewhere = self._planner.at_rest(view.seconds[i], crop), True
        return [Tile(_person(view, k), None, crop, "held") for k in range(i, j)]

    def _begin_still(self, still: FreezeFrame) -> None:
        """Begin to show a still in a new shot: the face as large as the other one, which may be nearer here."""
        share = self._other.likely_share(self._settings.face_share)
        if not self._frozen and share is not None:
            self._still_crop = still.closer(share)
        self._frozen = True

    def _free_crop(self, view: View, i: int) -> Rect | None:
        """Return a panel or a half of the frame without the other person, the tile's own side if possible."""
        end = view.next_break(i)
        others = [o for o in view.others[i:end] if o is not None]
        if self._other.box is not None:
            others.append(self._other.box)
        halves = [self._framing.centred_split(side) for side in (self._side, _opposite(self._side))]
        halves[:0] = self._framings.panel_crops(view.scenes[i].frame, view.scenes[i].panels, self._side)
        if self._path is not None:
            halves.insert(0, self._held_crop(view, i, self._path))
        return next((c for c in halves if not any(contains_centre(c, o, _CLEARANCE) for o in others)), None)

    def _crops(self, path: CameraPath, times: Array) -> list[Rect]:
        crop, extends = self._framing.crop, path.extends
        return [crop(cx, cy, w, extends=extends) for w, cx, cy in path.at(times).tolist()]

    # state

    def state(self) -> dict[str, Any]:
        last, still = self._last, self.freeze_frame
        return {
            "path": self._path.state() if self._path else None,
            "away": self._resting_elsewhere,
            "frozen": self._frozen,
            "waiting": self._waiting,
            "last": [last.person, rect_state(last.box), last.source] if last else None,
            "trace": self._trace.state(),
            "panel": rect_state(self._panel),
            "other": self._other.state(),
            "still": still.state() if still else None,
            "still_crop": rect_state(self._still_crop),
        }

    def restore(self, state: dict[str, Any]) -> None:
        last, still = state["last"], state["still"]
        self._path = CameraPath.restored(state["path"]) if state["path"] else None
        self._resting_elsewhere, self._frozen, self._waiting = state["away"], state["frozen"], state["waiting"]
        self._last = Seen(last[0], Rect(*last[1]), last[2]) if last else None
        self._trace = Trace.restored(state["trace"])
        self._panel = Rect(*state["panel"]) if state["panel"] else None
        self._other.restore(state["other"])
        self.freeze_frame = FreezeFrame.restored(still) if still else None
        self._still_crop = Rect(*state["still_crop"]) if state["still_crop"] else None


def _person(view: View, i: int) -> int | None:
    own = view.own[i]
    return own.person if own else None


def _opposite(side: Side) -> Side:
    return "right" if side == "left" else "left"
