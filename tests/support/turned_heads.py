"""People whose face is lost for a while, drawn from two portraits, and how the analysis follows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.frames import ColorTags, FrameBatch, MediaInfo, Rect, VideoInfo
from engines.registry import CpuBackend
from engines.settings import DeviceSettings
from pipeline.camera.planner import CameraOperator
from pipeline.degradation.workload import Workload
from pipeline.detection.detection_schedule import DetectionSchedule
from pipeline.detection.face_detector import FaceFinder
from pipeline.detection.head_views import HeadViews
from pipeline.detection.observer import Observer
from pipeline.identity.resolver import PeopleResolver
from pipeline.people import Row
from pipeline.rendering.analysis import Analysis, FaceEmbedder
from pipeline.settings import ProfileSettings
from pipeline.telemetry.timing import JobTelemetry
from tests.support.recordings import Path2D, portraits
from tests.support.still_images import nv12

WIDTH, HEIGHT, FPS = 640, 360, 30
HEAD = (0.5, 0.42), (0.2, 0.28)  # centre and half axes of the heads, in parts of the portraits
Image = NDArray[np.uint8]
Gesture = Callable[[Image, float], Image]  # a portrait, and how far the gesture has come, 0..1 -> the portrait


def turns_away(portrait: Image, share: float) -> Image:
    """The features slide to one side and vanish; hair is left."""
    side = portrait.shape[0]
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    mask = _head_mask(side)
    slid = cv2.remap(
        portrait, columns + 0.25 * side * share * mask, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    hair = _hair(side)
    cover = mask[..., None] * min(1.0, 1.5 * share)
    return (slid * (1 - cover) + hair * cover).astype(np.uint8)


def looks_down(portrait: Image, share: float) -> Image:
    """The crown of the head comes forward, the features leave below."""
    side = portrait.shape[0]
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    mask = _head_mask(side)
    moved = cv2.remap(
        portrait, columns, rows - 0.3 * side * share * mask, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    crown = mask * (rows < side * (0.2 + 0.45 * share))
    crown = cv2.GaussianBlur(crown, (0, 0), 4)[..., None] * min(1.0, 2 * share)
    return (moved * (1 - crown) + _hair(side) * crown).astype(np.uint8)


def raises_a_hand(portrait: Image, share: float) -> Image:
    """An arm in a dark sleeve and a hand come up before the face."""
    image, side = portrait.copy(), portrait.shape[0]
    y = side * (1.2 - 0.75 * share)
    cv2.line(image, (int(0.6 * side), side), (int(0.52 * side), int(y + 0.2 * side)), (60, 40, 40), side // 6)
    cv2.ellipse(image, (int(0.5 * side), int(y)), (int(0.23 * side), int(0.27 * side)), 0, 0, 360, (140, 170, 220), -1)
    for k in range(4):
        x = int(side * (0.36 + 0.09 * k))
        cv2.line(image, (x, int(y - 0.25 * side)), (x, int(y)), (110, 140, 195), 3)
    return image


@dataclass(frozen=True)
class Person:
    """One drawn person: where, and what they do from ``begin`` to ``end`` (seconds), 0.6 s there and back."""

    path: Path2D
    gesture: Gesture | None = None
    begin: float = 1e9
    end: float = 1e9
    gone: float = 1e9  # from when on nothing of them is in the picture

    def share(self, t: float) -> float:
        return float(np.clip(min((t - self.begin) / 0.6, (self.end - t) / 0.6), 0, 1))


def draw(t: float, people: Sequence[Person]) -> Image:
    canvas = _room().copy()
    side = int(HEIGHT * 0.62)
    for portrait, person in zip(portraits(), people, strict=True):
        if t >= person.gone:
            continue
        small = cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA)
        share = person.share(t)
        if person.gesture is not None and share > 0:
            small = person.gesture(small, share)
        cx, cy = person.path(t)
        _paste(canvas, small, cx * WIDTH, cy * HEIGHT)
    return canvas


def head_of(person: Person, t: float) -> tuple[float, float]:
    """Where the middle of a head is, in pixels."""
    cx, cy = person.path(t)
    side = int(HEIGHT * 0.62)
    return cx * WIDTH + (HEAD[0][0] - 0.5) * side, cy * HEIGHT + (HEAD[0][1] - 0.5) * side


class CountingViews(HeadViews):
    """Counts the looks at parts of frames."""

    looks = 0

    def chip(self, pts: int, part: Rect, size: int) -> Image:
        self.looks += 1
        return super().chip(pts, part, size)


@dataclass
class Followed:
    """The analysis of drawn people."""

    people: PeopleResolver
    analysis: Analysis
    views: CountingViews

    def rows_until(self, frames: int, people: Sequence[Person]) -> list[Row]:
        """Return the rows that the first frames of a drawing decide."""
        return [planned.row for batch in _batches(0, frames, people) for planned in self.analysis.push(batch)]

    def rows(self, seconds: float, people: Sequence[Person], first: int = 0) -> list[Row]:
        """Return the rows of a drawing from frame ``first`` on."""
        batches = _batches(first, round(seconds * FPS), people)
        rows = [planned.row for batch in batches for planned in self.analysis.push(batch)]
        return rows + [planned.row for planned in self.analysis.finish()]


def follow(seconds: float, people: Sequence[Person]) -> tuple[list[Row], Followed]:
    followed = analysis()
    return followed.rows(seconds, people), followed


def analysis() -> Followed:
    """Return a fresh analysis, as a job has it."""
    profile, finder = ProfileSettings(), finder_of(WIDTH, HEIGHT)
    pending = {}
    views = CountingViews(finder, pending)
    people = PeopleResolver(
        profile.identity, assignment=profile.assignment, lookahead_s=profile.lookahead.identity_s, width=WIDTH,
        height=HEIGHT, embed=FaceEmbedder(finder, pending), eyes=views,
    )  # fmt: skip
    cameras = CameraOperator(
        profile.camera, missing=profile.missing, lookahead_s=profile.lookahead.camera_s, width=WIDTH, height=HEIGHT
    )
    schedule = DetectionSchedule(profile.detect, Fraction(FPS), WIDTH)
    observer = Observer(finder, schedule, start_pts=0, seconds_per_tick=1 / FPS, canvas=(WIDTH, HEIGHT))
    analysis = Analysis(
        observer=observer, people=people, cameras=cameras, telemetry=JobTelemetry(), canvas=(WIDTH, HEIGHT),
        pending_frames=pending,
    )  # fmt: skip
    return Followed(people, analysis, views)


def finder_of(width: int, height: int) -> FaceFinder:
    """A face finder for frames of a displayed size."""
    return FaceFinder(CpuBackend(), ProfileSettings().detect, DeviceSettings(), _info(width, height), Workload())


def _batches(first: int, end: int, people: Sequence[Person]) -> Iterator[FrameBatch]:
    for begin in range(first, end, 4):
        numbers = range(begin, min(end, begin + 4))
        frames = (nv12(draw(n / FPS, people)) for n in numbers)
        yield FrameBatch(
            tuple(replace(frame, pts=n) for frame, n in zip(frames, numbers, strict=True)), Fraction(1, FPS)
        )


def _paste(canvas: Image, portrait: Image, cx: float, cy: float) -> None:
    """Put the person, without the portrait's background, onto the room."""
    side = portrait.shape[0]
    left, top = round(cx - side / 2), round(cy - side / 2)
    x0, y0, x1, y1 = max(0, left), max(0, top), min(WIDTH, left + side), min(HEIGHT, top + side)
    if x0 < x1 and y0 < y1:
        part, mask = (k[y0 - top : y1 - top, x0 - left : x1 - left] for k in (portrait, _outline(side)))
        behind = canvas[y0:y1, x0:x1]
        canvas[y0:y1, x0:x1] = (part * mask + behind * (1 - mask)).astype(np.uint8)


@cache
def _room() -> Image:
    """A wall with shelves and boxes."""
    rng = np.random.default_rng(5)
    room = np.repeat(np.linspace(70, 150, WIDTH, dtype=np.float32)[None, :, None], HEIGHT, 0) * (1.0, 0.95, 0.9)
    for _ in range(40):
        x, y = int(rng.integers(0, WIDTH)), int(rng.integers(0, HEIGHT))
        w, h = (int(n) for n in rng.integers(12, 70, 2))
        cv2.rectangle(room, (x, y), (x + w, y + h), tuple(float(c) for c in rng.uniform(50, 190, 3)), -1)
    return cv2.GaussianBlur(room, (0, 0), 1.2).astype(np.uint8)


@cache
def _outline(side: int) -> NDArray[np.float32]:
    """Head and shoulders, (side, side, 1)."""
    mask = np.zeros((side, side), np.float32)
    (cx, cy), (rx, ry) = HEAD
    cv2.ellipse(mask, (int(cx * side), int(cy * side)), (int(1.25 * rx * side), int(1.3 * ry * side)), 0, 0, 360, 1, -1)
    cv2.ellipse(mask, (side // 2, int(1.05 * side)), (int(0.48 * side), int(0.38 * side)), 0, 0, 360, 1, -1)
    return cv2.GaussianBlur(mask, (0, 0), 2)[..., None]


@cache
def _head_mask(side: int) -> NDArray[np.float32]:
    mask = np.zeros((side, side), np.float32)
    (cx, cy), (rx, ry) = HEAD
    cv2.ellipse(mask, (int(cx * side), int(cy * side)), (int(rx * side), int(ry * side)), 0, 0, 360, 1, -1)
    return cv2.GaussianBlur(mask, (0, 0), 4)


@cache
def _hair(side: int) -> NDArray[np.float32]:
    """Dark strands, (side, side, 3)."""
    strands = np.random.default_rng(3).normal(45, 25, (side, side, 1)).astype(np.float32)
    return cv2.GaussianBlur(strands, (0, 0), sigmaX=1, sigmaY=8)[..., None] * np.array([0.9, 1.0, 1.2], np.float32) + 5


def _info(width: int, height: int) -> MediaInfo:
    video = VideoInfo(
        "h264", width, height, width, height, "yuv420p", 8, Fraction(FPS), False, None, 0, Fraction(1), False,
        Fraction(1, FPS), 0, None, ColorTags(),
    )  # fmt: skip
    return MediaInfo("matroska,webm", 1, None, video, ())
