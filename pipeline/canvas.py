"""One coordinate system for a stream whose frames change size, aspect or orientation.

People are followed and recognised in pixels of the canvas, which is the displayed frame at the start of the stream. A
frame of another size is scaled to fit into the middle of the canvas. So the order of people and the relative size of
faces do not depend on the frame size. Cameras and later stages use the pixels of each displayed frame, so that every
part is framed as well as in a file of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from engines.frames import Rect, Size
from pipeline.people import Face, Scene, Seen


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a displayed frame lies on the canvas: canvas = ``scale`` * frame + (``x``, ``y``)."""

    scale: float
    x: float
    y: float

    @classmethod
    def of(cls, display: Size, canvas: Size) -> Placement:
        scale = min(canvas[0] / display[0], canvas[1] / display[1])
        return cls(scale, (canvas[0] - scale * display[0]) / 2, (canvas[1] - scale * display[1]) / 2)

    def face_on_canvas(self, face: Face) -> Face:
        """Convert a face from pixels of the frame to pixels of the canvas."""
        landmarks = tuple((self.scale * x + self.x, self.scale * y + self.y) for x, y in face.landmarks)
        box = face.box.scaled(self.scale, self.scale)
        return Face(replace(box, x=box.x + self.x, y=box.y + self.y), face.score, landmarks, self.scale)

    def points_in_frame(self, points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
        return [((x - self.x) / self.scale, (y - self.y) / self.scale) for x, y in points]

    def scene_in_frame(self, scene: Scene, display: Size) -> Scene:
        """Convert a scene from pixels of the canvas to pixels of its frame."""
        left, right = (self._seen(seen) for seen in (scene.left, scene.right))
        others = tuple(self.box_in_frame(box) for box in scene.others)
        return replace(scene, left=left, right=right, others=others, frame=display)

    def _seen(self, seen: Seen | None) -> Seen | None:
        return replace(seen, box=self.box_in_frame(seen.box)) if seen is not None and seen.box is not None else seen

    def box_in_frame(self, box: Rect) -> Rect:
        """A box of the canvas in pixels of the frame."""
        (left, top), (right, bottom) = self.points_in_frame([(box.x, box.y), (box.x + box.w, box.y + box.h)])
        return Rect(left, top, right - left, bottom - top)
