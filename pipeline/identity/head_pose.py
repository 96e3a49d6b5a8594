"""The direction of a head, from the landmarks of its face."""

from __future__ import annotations

from pipeline.people import Face

YAW_EDGES = (-0.35, -0.12, 0.12, 0.35)


def yaw(face: Face) -> float:
    """Return the offset of the nose from the middle of the eyes, in eye distances: positive to the right."""
    (rx, ry), (lx, ly), (nx, ny) = face.landmarks[:3]
    ex, ey = lx - rx, ly - ry
    square = max(1.0, ex * ex + ey * ey)
    return ((nx - (rx + lx) / 2) * ex + (ny - (ry + ly) / 2) * ey) / square


def direction(turn: float) -> int:
    """Return which of five directions a yaw belongs to, from left to right."""
    return sum(turn > edge for edge in YAW_EDGES)
