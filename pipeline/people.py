"""Types that the stages from detection to composition exchange: faces, people, tiles, rows.

All coordinates are pixels of the displayed frame. If its size changes midway, faces and observations are in pixels of
the first one (``pipeline.canvas``), scenes and rows in pixels of their own frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from engines.frames import Rect, Size

Landmarks: TypeAlias = tuple[tuple[float, float], ...]
Source: TypeAlias = Literal["detected", "tracked", "reidentified", "head", "held", "frozen", "placeholder"]
Side: TypeAlias = Literal["left", "right"]


@dataclass(frozen=True, slots=True)
class Face:
    """One detected face.

    Attributes:
        landmarks: (x, y) of right eye, left eye, nose tip, right and left mouth corner.
        scale: pixels of ``box`` per pixel of the displayed frame.
    """

    box: Rect
    score: float
    landmarks: Landmarks
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Observation:
    """One frame before recognition.

    Attributes:
        faces: None if the detector did not run on this frame.
        cut: whether it is the first frame of a new shot; the detector always runs there.
    """

    pts: int
    t: float  # seconds since the first frame
    faces: tuple[Face, ...] | None
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """One of the two people in one frame.

    ``box`` is None if the person's place is unknown. If the source is "head", no face is seen, and it is where it would
    be.
    """

    person: int  # 1 or 2, stable for the whole file
    box: Rect | None
    source: Literal["detected", "tracked", "reidentified", "head"] = "detected"
    gaze: float = 0.0  # -1: looks to the left of the frame, 0: at the camera or unknown, 1: to the right


@dataclass(frozen=True, slots=True)
class Scene:
    """One frame after recognition: who belongs in which tile, and where they are.

    Attributes:
        left, right: None if there is no such person (yet).
        others: faces of bystanders.
        frame: size of the displayed frame; None: that of the first one. A change of it is a cut.
        panels: parts of a divided frame, such as that of a meeting, that hold people.
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

    Attributes:
        crop: lies inside the frame; of a frozen tile, in pixels of the frame at ``still_pts``.
        source: "frozen" repeats the frame at ``still_pts``; "placeholder" has nothing to show.
    """

    person: int | None
    face: Rect | None
    crop: Rect
    source: Source
    still_pts: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One output frame as it is planned: a line of NAME.dual.tracks.jsonl.gz without its number.

    Attributes:
        frame: as in ``Scene``.
        full: what the whole output shows in place of the two tiles, 16:9, while one person at most has been seen.
    """

    pts: int
    t: float
    left: Tile
    right: Tile
    frame: Size | None = None
    full: Rect | None = None


def row_from_json(data: dict[str, Any]) -> Row:
    """Return the row that ``dataclasses.asdict`` or orjson has converted."""
    full = None if data["full"] is None else Rect(**data["full"])
    return Row(data["pts"], data["t"], _tile(data["left"]), _tile(data["right"]), size_from_json(data["frame"]), full)


def size_from_json(value: list[int] | None) -> Size | None:
    return None if value is None else (value[0], value[1])


def _tile(data: dict[str, Any]) -> Tile:
    face = None if data["face"] is None else Rect(**data["face"])
    return Tile(data["person"], face, Rect(**data["crop"]), data["source"], data["still_pts"])
