"""What the stages between detection and composition tell each other: faces, people, tiles.

All in pixels of the displayed frame; where its size changes midway, faces and observations are in those of the first
one (``pipeline.canvas``), scenes and rows in those of the frame that they belong to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from engines.frames import Rect, Size

Landmarks: TypeAlias = tuple[tuple[float, float], ...]
Source: TypeAlias = Literal["detected", "tracked", "reidentified", "held", "frozen", "placeholder"]
Side: TypeAlias = Literal["left", "right"]


@dataclass(frozen=True, slots=True)
class Face:
    """One detected face. ``landmarks`` are right eye, left eye, nose tip, right and left mouth corner.

    ``scale`` is how many pixels of ``box`` are one of the displayed frame.
    """

    box: Rect
    score: float
    landmarks: Landmarks
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Observation:
    """What is known of one frame before anybody is recognised in it.

    ``faces`` is None where the detector was not run (every frame between two k-th ones).
    ``cut`` marks the first frame of a new shot; the detector is always run there.
    """

    pts: int
    t: float  # seconds since the first frame
    faces: tuple[Face, ...] | None
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """One of the two people in one frame. ``box`` is None while nobody knows where the person is."""

    person: int  # 1 or 2, stable for the whole file
    box: Rect | None
    source: Literal["detected", "tracked", "reidentified"] = "detected"
    gaze: float = 0.0  # -1: looks to the left of the frame, 0: at the camera or unknown, 1: to the right


@dataclass(frozen=True, slots=True)
class Scene:
    """One frame after recognition: who belongs in which tile, and where they are.

    ``left`` and ``right`` are None while there is no such person (yet). ``others`` are faces of bystanders,
    whom the debug overlay draws. ``frame`` is the displayed frame's size, None that of the first one; where it
    changes there is a cut. ``panels`` are the parts of a divided frame, such as a meeting's, that hold people.
    """

    pts: int
    t: float
    cut: bool
    left: Seen | None
    right: Seen | None
    others: tuple[Rect, ...] = ()
    frame: Size | None = None
    panels: tuple[Rect, ...] = ()


@dataclass(frozen=True, slots=True)
class Tile:
    """What one tile shows in one output frame.

    ``crop`` lies inside the frame. Where ``source`` is "frozen", the tile repeats its frame of ``still_pts``
    (with the crop it had then, in pixels of that frame); where it is "placeholder" there is nothing to show.
    """

    person: int | None
    face: Rect | None
    crop: Rect
    source: Source
    still_pts: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One output frame: a row of NAME.dual.tracks.jsonl.gz before it has a frame number.

    ``frame`` is as in ``Scene``.
    """

    pts: int
    t: float
    left: Tile
    right: Tile
    frame: Size | None = None


def row_from_json(data: dict[str, Any]) -> Row:
    """A row from what ``dataclasses.asdict`` or orjson made of it."""
    return Row(data["pts"], data["t"], _tile(data["left"]), _tile(data["right"]), size_from_json(data["frame"]))


def size_from_json(value: list[int] | None) -> Size | None:
    return None if value is None else (value[0], value[1])


def _tile(data: dict[str, Any]) -> Tile:
    face = None if data["face"] is None else Rect(**data["face"])
    return Tile(data["person"], face, Rect(**data["crop"]), data["source"], data["still_pts"])
