"""Drawn recordings: shots with people on paths in a room, seen by a camera with its light, noise and blur."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from engines.frames import Rect
from tests.support.drawn.heads import Pose, draw
from tests.support.drawn.looks import Look

Image = NDArray[np.float32]
Motion = Callable[[float], Pose | None]  # seconds within the shot -> where somebody is
GAMMA = 2.2


@dataclass(frozen=True)
class Light:
    """How a camera sees a scene.

    Attributes:
        level: share of the light of a well exposed scene.
        background: further factor for all but the people; above 1 they have their back to the light.
        noise: deviation of a pixel, 0..255.
        blur: deviation of a Gaussian, in parts of the frame's height.
    """

    level: float = 1.0
    background: float = 1.0
    noise: float = 1.5
    blur: float = 0.0


@dataclass(frozen=True)
class Shot:
    """One shot: its length, its room, and where people are; later names are drawn over earlier ones."""

    seconds: float
    room: int
    people: Mapping[str, Motion]


@dataclass(frozen=True)
class Drawing:
    """A recording to be drawn.

    Attributes:
        looks: of the people, by name.
        left, right: names of the people who belong in the tiles; "" for nobody.
        crf: of x264: the larger, the lower the bit rate.
        rotation: degrees by which the frames are stored turned, with metadata to turn them back.
        fisheye: strength of the barrel distortion, 0 to 1.
    """

    shots: Sequence[Shot]
    looks: Mapping[str, Look]
    left: str = "A"
    right: str = "B"
    light: Light = Light()
    size: tuple[int, int] = (640, 360)
    fps: int = 12
    crf: int = 20
    rotation: int = 0
    fisheye: float = 0.0
    seed: int = 0
    rooms: dict[int, Image] = field(default_factory=dict, compare=False)

    def poses(self, number: int) -> dict[str, Pose]:
        """Who is in a frame, and where."""
        t = number / self.fps
        for shot in self.shots:
            if t < shot.seconds - 1e-6:
                found = {name: motion(t) for name, motion in shot.people.items()}
                return {name: pose for name, pose in found.items() if pose is not None}
            t -= shot.seconds
        return {}

    @property
    def count(self) -> int:
        return round(sum(shot.seconds for shot in self.shots) * self.fps)

    def truth(self, number: int) -> dict[str, Rect]:
        """The faces of a frame, those in front last."""
        return {name: self._seen(pose.box(*self.size)) for name, pose in self.poses(number).items()}

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        """The frames, BGR."""
        for number in range(self.count):
            yield self._frame(number)

    def write(self, path: Path) -> Path:
        """Write the recording as H.264 without audio."""
        with av.open(str(path), "w") as out:
            stream = out.add_stream("libx264", rate=self.fps, options={"preset": "ultrafast", "crf": str(self.crf)})
            turned = self.rotation % 180 == 90
            stream.width, stream.height = self.size[::-1] if turned else self.size
            stream.pix_fmt = "yuv420p"
            if self.rotation:
                stream.set_display_rotation(-self.rotation)
            for number, image in enumerate(self.frames()):
                stored = np.ascontiguousarray(np.rot90(image, self.rotation // 90))
                frame = av.VideoFrame.from_ndarray(stored, format="bgr24")
                frame.pts, frame.time_base = number, Fraction(1, self.fps)
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        return path

    def _frame(self, number: int) -> NDArray[np.uint8]:
        canvas, people = self._room(number).copy(), self.poses(number)
        for name, pose in people.items():
            draw(canvas, self.looks[name], pose)
        if self.fisheye:
            canvas = cv2.remap(canvas, *_barrel(self.size, self.fisheye), cv2.INTER_LINEAR)
        if self.light.level != 1:
            canvas = 255 * np.power(self.light.level * np.power(np.maximum(canvas, 0) / 255, GAMMA), 1 / GAMMA)
        if self.light.blur:
            canvas = cv2.GaussianBlur(canvas, (0, 0), self.light.blur * self.size[1])
        rng = np.random.default_rng([self.seed, number])
        noise = self.light.noise * rng.standard_normal((*canvas.shape[:2], 1), np.float32)
        return np.clip(canvas + noise, 0, 255).astype(np.uint8)

    def _room(self, number: int) -> Image:
        t, shot = number / self.fps, self.shots[-1]
        for shot in self.shots:
            if t < shot.seconds - 1e-6:
                break
            t -= shot.seconds
        if shot.room not in self.rooms:
            room = _drawn_room(shot.room, self.size)
            self.rooms[shot.room] = room * self.light.background ** (1 / GAMMA)  # brighter than white before a lens
        return self.rooms[shot.room]

    def _seen(self, box: Rect) -> Rect:
        """A box where the lens shows it."""
        if not self.fisheye:
            return box
        width, height = self.size
        x, y = (box.cx - width / 2) / (width / 2), (box.cy - height / 2) / (width / 2)
        r = math.hypot(x, y)
        corner = 1 + self.fisheye * (1 + (height / width) ** 2)
        shrink = _seen_radius(r * corner, self.fisheye) / r if r else corner
        cx, cy = width / 2 * (1 + x * shrink), height / 2 + width / 2 * y * shrink
        return Rect(cx - box.w * shrink / 2, cy - box.h * shrink / 2, box.w * shrink, box.h * shrink)


def seated(
    x: float, y: float = 0.42, size: float = 0.26, *, seed: int = 0, turn: float = 0.0, alive: bool = True
) -> Motion:
    """Somebody who sits and talks; a picture of a person if not ``alive``."""

    def at(t: float) -> Pose:
        if not alive:
            return Pose(x, y, size, turn)
        p = t + 7.3 * seed
        return Pose(
            x + 0.008 * math.sin(0.9 * p) + 0.004 * math.sin(2.3 * p),
            y + 0.008 * math.sin(1.3 * p),
            size * (1 + 0.01 * math.sin(0.5 * p)),
            max(-1.0, min(1.0, turn + 0.22 * math.sin(0.8 * p) + 0.1 * math.sin(2.1 * p))),
            max(0.0, math.sin(9 * p)) * (math.sin(0.7 * p) > -0.2),
            math.sin(1.7 * p) > 0.985,
            2 * math.sin(0.7 * p),
        )

    return at


def moving(path: Callable[[float], tuple[float, float, float] | None], *, seed: int = 0) -> Motion:
    """Somebody who talks and follows a path: seconds to x, y and size; the head looks along the path."""

    def at(t: float) -> Pose | None:
        here, next_ = path(t), path(t + 0.1)
        if here is None:
            return None
        ahead = 0.0 if next_ is None else (next_[0] - here[0]) / 0.1
        turn = max(-0.9, min(0.9, 2.5 * ahead))
        return seated(*here, seed=seed, turn=turn)(t)

    return at


def eased(a: float, b: float, share: float) -> float:
    """A value on the way from ``a`` to ``b``, with a soft start and end."""
    u = min(1.0, max(0.0, share))
    return a + (b - a) * u * u * (3 - 2 * u)


def _drawn_room(number: int, size: tuple[int, int]) -> Image:
    """A wall with furniture out of focus."""
    width, height = size
    rng = np.random.default_rng([number, 5])
    wall = np.empty((height, width, 3), np.float32)
    wall[:] = rng.uniform(50, 150, 3)
    wall *= np.linspace(rng.uniform(0.6, 1), rng.uniform(0.6, 1.1), width, dtype=np.float32)[None, :, None]
    for _ in range(14):
        x, y = int(rng.uniform(0, width)), int(rng.uniform(0, height))
        w, h = int(rng.uniform(0.03, 0.2) * width), int(rng.uniform(0.05, 0.3) * height)
        cv2.rectangle(wall, (x, y), (x + w, y + h), tuple(map(float, rng.uniform(25, 190, 3))), -1)
    return cv2.GaussianBlur(wall, (0, 0), height / 60)


def _barrel(size: tuple[int, int], strength: float) -> tuple[Image, Image]:
    width, height = size
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    x, y = (columns - width / 2) / (width / 2), (rows - height / 2) / (width / 2)
    stretch = (1 + strength * (x * x + y * y)) / (1 + strength * (1 + (height / width) ** 2))  # corners stay corners
    return width / 2 * (1 + x * stretch), height / 2 + width / 2 * y * stretch


def _seen_radius(r: float, strength: float) -> float:
    """The radius at which the lens shows what is at radius ``r``: inverts ``r = s * (1 + strength * s * s)``."""
    s = r
    for _ in range(20):
        s -= (s + strength * s**3 - r) / (1 + 3 * strength * s * s)
    return s
