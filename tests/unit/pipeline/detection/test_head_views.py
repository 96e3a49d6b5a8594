"""Closer looks at parts of frames: the same pixels and faces as in the whole frame."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from engines.frames import Rect
from pipeline.detection.head_views import HeadViews
from pipeline.detection.region import Region
from tests.support.still_images import collins, frame_of, nv12, waves
from tests.support.turned_heads import finder_of

SIZE = 64


def views(frame, display=None, canvas=None):
    frame = replace(frame, display=display)
    finder = finder_of(*(canvas or display or (frame.width, frame.height)))
    return finder, HeadViews(finder, {0: frame}), frame


@pytest.mark.parametrize("part", [Rect(100, 60, 128, 128), Rect(31.4, 200.2, 90, 90), Rect(300, 250, 200, 200)])
def test_a_chip_shows_its_part_of_the_frame(part):
    frame = nv12(collins())
    _, seen, _ = views(frame)
    scale = SIZE / part.w
    move = np.array([[scale, 0, -part.x * scale], [0, scale, -part.y * scale]], np.float32)
    smooth = cv2.GaussianBlur(frame.y, (0, 0), 0.4 / scale)
    expected = cv2.warpAffine(smooth, move, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE)
    chip = seen.chip(0, part, SIZE)
    assert chip.shape == (SIZE, SIZE)
    assert np.abs(chip.astype(int) - expected).mean() < 8
    shifted = np.roll(expected, 6, axis=1)
    assert np.abs(chip.astype(int) - shifted).mean() > 12


@pytest.mark.parametrize(("x", "y"), [(-60, 100), (100, -60), (450, 100), (100, 450), (-60, 450)])
def test_outside_the_frame_its_edges_repeat(x, y):
    frame = nv12(collins())
    _, seen, _ = views(frame)
    chip = seen.chip(0, Rect(x, y, 128, 128), SIZE).astype(int)
    outside = 28  # of the chip's pixels, at least, along an axis that leaves the frame
    for low, high, axis in ((x < 0, x > 400, 1), (y < 0, y > 400, 0)):
        part = chip.take(range(outside) if low else range(SIZE - outside, SIZE), axis)
        assert (np.ptp(part, axis=axis).max() == 0) == (low or high)


@pytest.mark.parametrize(
    ("size", "display", "canvas"),
    [
        ((512, 512), None, None),
        ((1024, 1024), (512, 512), None),  # a surface of another size than the displayed frame
        ((256, 512), (512, 512), None),  # pixels that are not square
        ((512, 512), (512, 512), (1280, 720)),  # a frame that is smaller than the canvas
    ],
)
def test_faces_are_where_they_are_in_the_whole_frame(size, display, canvas):
    frame = nv12(cv2.resize(collins(), size, interpolation=cv2.INTER_AREA))
    finder, seen, frame = views(frame, display, canvas)
    ((whole, *_),) = finder.find([frame])
    box = whole.box
    part = Rect(box.cx - 1.6 * box.h, box.cy - box.h, 10 / 3 * box.h, 2 * box.h)
    (close, *_) = seen.faces(0, part, 0.5)
    for a, b in ((close.box.cx, box.cx), (close.box.cy, box.cy), (close.box.h, box.h), (close.box.w, box.w)):
        assert a == pytest.approx(b, abs=0.12 * box.h)
    for a, b in zip(close.landmarks, whole.landmarks, strict=True):
        assert a == pytest.approx(b, abs=0.12 * box.h)
    assert close.scale == whole.scale


@pytest.mark.parametrize(
    "box", [Rect(-50, -50, 60, 60), Rect(-500, 20, 40, 40), Rect(630, 350, 500, 500), Rect(5, 7, 1, 1)]
)
def test_a_region_is_even_and_inside(box):
    frame = frame_of(waves(0.3), 641, 361)
    region = Region.of(frame, box, (641, 361))
    place, part = region.place, region.frame
    assert all(round(v) % 2 == 0 for v in (place.x, place.y, place.w, place.h))
    assert place.x >= 0 and place.x + place.w <= 641 and place.y >= 0 and place.y + place.h <= 361
    assert (part.width, part.height) == (place.w, place.h) == part.display
    assert min(part.width, part.height) >= 16
    assert part.uv.shape == (part.height // 2, part.width // 2, 2)
    assert np.shares_memory(part.y, frame.y) and np.shares_memory(part.uv, frame.uv)
