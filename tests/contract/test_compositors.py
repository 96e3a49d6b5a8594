"""What every compositor must do: the definition in engines.cpu.compose, and what a viewer would notice."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.cpu.compose import PLACEHOLDER_CHROMA, PLACEHOLDER_LUMA, CpuCompositor, chroma_crop
from engines.frames import Frame, Rect
from engines.protocols import Composition, TileSource
from tests.support.cuda_on_host import HostCompositor, on_device
from tests.support.still_images import frame_of, nv12, psnr, waves

COMPOSITORS = [pytest.param(CpuCompositor, id="opencv"), *on_device(HostCompositor)]
WIDTH, HEIGHT = 480, 272
TILE_W, TILE_H = WIDTH // 2, HEIGHT

# Agreement with the definition in decibels. The CPU's own differ only by rounding; a device may use other arithmetic.
AGREEMENT_DB = 45


@pytest.fixture(params=COMPOSITORS)
def compositor(request):
    return request.param(WIDTH, HEIGHT)


def tile(compositor, frame: Frame, crop: Rect) -> tuple[np.ndarray, np.ndarray]:
    """The left tile's planes, with something else on the right."""
    out = compositor.compose(TileSource(frame, crop), TileSource(frame, None), 0, 1)
    return out.y[:, :TILE_W], out.uv[:, : TILE_W // 2]


def block(size: float, out: int) -> int:
    return 2 ** max(0, math.floor(math.log2(size / out)))


def in_blocks(plane: np.ndarray, down: int, across: int) -> np.ndarray:
    """Step 1 of the definition."""
    height, width = plane.shape[0] // down, plane.shape[1] // across
    whole = plane[: height * down, : width * across].reshape(height, down, width, across, *plane.shape[2:])
    return np.rint(whole.mean(axis=(1, 3)))


def matrix(start: float, size: float, out: int, limit: int) -> np.ndarray:
    """Steps 2 and 3 of the definition as one matrix (out, limit), in double precision."""
    scale = size / out
    stretch = max(1.0, scale)
    first = min(max(math.floor(start), 0), limit - 1)
    shift = start - first
    cells = min(math.ceil(start + size) + 1, limit) - first
    index = np.arange(-40, 41)
    lanczos = np.sinc((index - shift) / stretch) * np.sinc((index - shift) / stretch / 3)
    lanczos *= np.abs(index - shift) < 3 * stretch
    filtered = np.zeros((cells, limit))
    for j in range(cells):
        np.add.at(filtered[j], np.clip(first + j + index, 0, limit - 1), lanczos / lanczos.sum())
    sampled = np.zeros((out, cells))
    for i in range(out):
        at = (i + 0.5) * scale - 0.5
        taps = np.arange(math.floor(at) - 1, math.floor(at) + 3)
        np.add.at(sampled[i], np.clip(taps, 0, cells - 1), cubic(at - taps))
    return sampled @ filtered


def cubic(x: np.ndarray, a: float = -0.75) -> np.ndarray:
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def defined(plane: np.ndarray, crop: Rect, width: int, height: int) -> np.ndarray:
    """A tile of one plane by the definition."""
    down, across = block(crop.h, height), block(crop.w, width)
    blocks = in_blocks(plane.astype(np.float64), down, across)
    rows = matrix(crop.y / down, crop.h / down, height, blocks.shape[0])
    columns = matrix(crop.x / across, crop.w / across, width, blocks.shape[1])
    values = np.einsum("ij,jk...,lk->il...", rows, blocks, columns, optimize=True)
    return np.clip(np.rint(values), 0, 255)


CROPS = {
    "as it is": Rect(33, 20, TILE_W, TILE_H),
    "moved": Rect(33.4, 20.7, TILE_W, TILE_H),
    "enlarged": Rect(51.3, 17.6, 201.7, 228.6),
    "much enlarged": Rect(200.25, 100.5, 50, 57),
    "shrunk": Rect(3.7, 1.2, 1.31 * TILE_W, 1.31 * TILE_H),
    "wider than high": Rect(10.1, 30.3, 330.5, 200.25),
    "left and top edge": Rect(0, 0, 200, 226.7),
    "right and bottom edge": Rect(500 - 200.6, 380 - 227.35, 200.6, 227.35),
    "the whole frame": Rect(0, 0, 500, 380),  # more than twice the tile's width
}


@pytest.mark.parametrize("crop", CROPS.values(), ids=CROPS.keys())
def test_the_definition_holds(compositor, crop):
    frame = frame_of(waves(0.8), 500, 380)
    y, uv = tile(compositor, frame, crop)
    assert psnr(y, defined(frame.y, crop, TILE_W, TILE_H)) > AGREEMENT_DB
    chroma = chroma_crop(crop, TILE_W)
    assert psnr(uv, defined(frame.uv, chroma, TILE_W // 2, TILE_H // 2)) > AGREEMENT_DB


@pytest.mark.parametrize("crop", CROPS.values(), ids=CROPS.keys())
def test_luma_and_chroma_show_the_same_point_of_the_scene(compositor, crop):
    """The pattern is known between the pixels, so this sees a quarter of a pixel's error anywhere in the frame."""
    scene = waves(0.12, seed=2)
    y, uv = tile(compositor, frame_of(scene, 500, 380), crop)
    sx, sy = crop.w / TILE_W, crop.h / TILE_H
    rows, columns = np.mgrid[:TILE_H, :TILE_W] + 0.5
    assert psnr(y, scene(crop.x + columns * sx, crop.y + rows * sy)) > 43
    rows, columns = np.mgrid[: TILE_H // 2, : TILE_W // 2]
    chroma = scene(crop.x + (2 * columns + 0.5) * sx, crop.y + (2 * rows + 1) * sy)
    assert psnr(uv[..., 0], chroma) > 43
    assert psnr(uv[..., 1], chroma) > 43


def test_a_crop_of_the_tiles_own_size_on_whole_pixels_is_a_copy(compositor):
    frame = frame_of(waves(1.0), 500, 380)
    y, uv = tile(compositor, frame, Rect(34, 20, TILE_W, TILE_H))
    assert np.array_equal(y, frame.y[20 : 20 + TILE_H, 34 : 34 + TILE_W])
    assert np.array_equal(uv, frame.uv[10 : 10 + TILE_H // 2, 17 : 17 + TILE_W // 2])


@pytest.mark.parametrize("zoom", [0.8, 1.0, 1.25])
def test_a_slow_move_is_smooth(compositor, zoom):
    """A crop that moves a tenth of a pixel per frame moves the scene by that, within a fortieth of a pixel."""
    period = 40.0
    frame = frame_of(lambda x, y: 128 + 90 * np.cos(2 * np.pi * x / period) + 0 * y, 800, 400)
    seen = []
    for step in range(21):
        y, _ = tile(compositor, frame, Rect(120 + step / 10, 8.0, TILE_W * zoom, TILE_H * zoom))
        wave = np.exp(-2j * np.pi * (np.arange(TILE_W) + 0.5) * zoom / period) * np.hanning(TILE_W)
        seen.append(np.angle((y.mean(axis=0) - 128) @ wave) * period / (2 * np.pi))
    moved = np.array([(b - a + period / 2) % period - period / 2 for a, b in pairwise(seen)])
    np.testing.assert_allclose(moved, 0.1, atol=0.025)


def test_a_slow_move_keeps_its_sharpness(compositor):
    """Bilinear interpolation would lose two thirds of this detail at each half pixel: a visible pulse."""
    frame = frame_of(waves(0.6, seed=3), 500, 380)
    detail = [
        np.diff(tile(compositor, frame, Rect(40 + step / 8, 30 + step / 8, TILE_W, TILE_H))[0].astype(float)).std()
        for step in range(9)
    ]
    assert min(detail) > 0.95 * max(detail)


@pytest.mark.parametrize("zoom", [1.3, 1.7, 2.0, 2.6, 3.4])
def test_shrinking_does_not_alias(compositor, zoom):
    """Stripes too fine for the tile become grey instead of false stripes; coarse ones stay."""
    width, height = round(TILE_W * zoom) + 40, round(TILE_H * zoom) + 40
    crop = Rect(11.3, 7.6, TILE_W * zoom, TILE_H * zoom)
    fine = frame_of(lambda x, y: 128 + 100 * np.cos(np.pi * 0.97 * x) + 0 * y, width, height)
    coarse = frame_of(lambda x, y: 128 + 100 * np.cos(np.pi * 0.3 / zoom * x) + 0 * y, width, height)
    limit = 0.4 if zoom < 1.5 else 0.06
    assert tile(compositor, fine, crop)[0].std() < limit * 70
    assert tile(compositor, coarse, crop)[0].std() > 0.93 * 70


def test_one_colour_stays_that_colour(compositor):
    for bgr in ((0, 0, 255), (30, 200, 90), (255, 255, 255), (0, 0, 0)):
        frame = nv12(np.full((300, 420, 3), bgr, np.uint8))
        y, uv = tile(compositor, frame, Rect(3.3, 2.7, 180.2, 207.9))
        assert np.array_equal(np.unique(y), np.unique(frame.y))
        assert np.array_equal(np.unique(uv.reshape(-1, 2), axis=0), np.unique(frame.uv.reshape(-1, 2), axis=0))


def test_hard_edges_do_not_wrap_around(compositor):
    """Overshoot at an edge from black to white is cut off, not turned into its opposite."""
    image = np.zeros((300, 420), np.uint8)
    image[:, 150:] = 255
    frame = Frame(image, np.full((150, 210, 2), 128, np.uint8), 0, 1)
    y, _ = tile(compositor, frame, Rect(60.4, 10.2, 180.3, 210.9))
    edge = np.flatnonzero(y[100] > 127)[0]
    assert y[:, : edge - 3].max() < 40
    assert y[:, edge + 3 :].min() > 215


def test_each_tile_keeps_to_its_half(compositor):
    dark, bright = nv12(np.full((300, 300, 3), 20, np.uint8)), nv12(np.full((400, 350, 3), 230, np.uint8))
    crop = Rect(5.5, 6.6, 200.1, 226.7)
    out = compositor.compose(TileSource(dark, crop), TileSource(bright, crop), 0, 1)
    assert np.ptp(out.y[:, :TILE_W]) == np.ptp(out.y[:, TILE_W:]) == 0
    assert out.y[0, TILE_W - 1] == dark.y[0, 0]
    assert out.y[0, TILE_W] == bright.y[0, 0]


@pytest.mark.parametrize("crop", [Rect(20.3, 40.6, 192.5, 109.1), Rect(10, 4, WIDTH, HEIGHT), Rect(0, 50, 500, 283.5)])
def test_one_tile_fills_the_frame_without_a_seam(compositor, crop):
    frame = frame_of(waves(0.8), 500, 380)
    out = compositor.compose(TileSource(frame, crop), None, 7, 1)
    assert psnr(out.y, defined(frame.y, crop, WIDTH, HEIGHT)) > AGREEMENT_DB
    assert psnr(out.uv, defined(frame.uv, chroma_crop(crop, WIDTH), WIDTH // 2, HEIGHT // 2)) > AGREEMENT_DB
    middle = slice(TILE_W - 2, TILE_W + 2)
    assert psnr(out.y[:, middle], defined(frame.y, crop, WIDTH, HEIGHT)[:, middle]) > AGREEMENT_DB


def test_a_batch_may_hold_both_layouts(compositor):
    frame = frame_of(waves(0.5), 500, 380)
    one, two = TileSource(frame, CROPS["moved"]), TileSource(frame, CROPS["enlarged"])
    wanted = [
        Composition(one, two, 0, 1),
        Composition(one, None, 1, 1),
        Composition(two, None, 2, 1),
        Composition(two, one, 3, 1),
    ]
    for composition, out in zip(wanted, compositor.compose_batch(wanted), strict=True):
        alone = compositor.compose(composition.left, composition.right, composition.pts, 1)
        assert out.pts == composition.pts
        assert np.array_equal(out.y, alone.y)
        assert np.array_equal(out.uv, alone.uv)


def test_the_result_is_one_contiguous_frame_with_its_time(compositor):
    frame = frame_of(waves(0.5), 500, 380)
    out = compositor.compose(TileSource(frame, CROPS["moved"]), TileSource(frame, CROPS["shrunk"]), 9000, 3003)
    assert (out.width, out.height, out.pts, out.duration, out.replaced) == (WIDTH, HEIGHT, 9000, 3003, False)
    assert out.y.flags.c_contiguous
    assert out.uv.flags.c_contiguous
    assert out.uv.ctypes.data == out.y.ctypes.data + WIDTH * HEIGHT


def test_a_result_is_not_overwritten_by_the_next(compositor):
    frame, other = frame_of(waves(0.5), 500, 380), frame_of(waves(0.5, seed=9), 500, 380)
    first = compositor.compose(TileSource(frame, CROPS["moved"]), TileSource(frame, CROPS["moved"]), 0, 1)
    before = first.y.copy(), first.uv.copy()
    for _ in range(3):
        compositor.compose(TileSource(other, CROPS["moved"]), TileSource(other, CROPS["shrunk"]), 1, 1)
    assert np.array_equal(first.y, before[0])
    assert np.array_equal(first.uv, before[1])


def test_a_replacement_is_marked_as_such(compositor):
    good = frame_of(waves(0.5), 500, 380)
    bad = Frame(good.y, good.uv, 0, 1, replaced=True)
    crop = CROPS["moved"]
    assert compositor.compose(TileSource(good, crop), TileSource(bad, crop), 0, 1).replaced


def test_nothing_to_show_is_a_calm_dark_tile(compositor):
    frame = frame_of(waves(0.5), 500, 380)
    out = compositor.compose(TileSource(frame, CROPS["moved"]), TileSource(frame, None), 0, 1)
    assert np.unique(out.y[:, TILE_W:]).tolist() == [PLACEHOLDER_LUMA]
    assert np.unique(out.uv[:, TILE_W // 2 :]).tolist() == [PLACEHOLDER_CHROMA]
    assert np.ptp(out.y[:, :TILE_W]) > 50


def test_a_frozen_tile_stays_as_it_was_while_the_other_moves(compositor):
    still, others = frame_of(waves(0.5), 500, 380), [frame_of(waves(0.5, seed=k), 500, 380) for k in range(1, 4)]
    frozen = TileSource(still, CROPS["enlarged"])
    shown = [compositor.compose(frozen, TileSource(other, CROPS["moved"]), 0, 1) for other in others]
    fresh = CpuCompositor(WIDTH, HEIGHT).compose(frozen, TileSource(others[-1], CROPS["moved"]), 0, 1)
    for image in shown:
        assert psnr(image.y[:, :TILE_W], fresh.y[:, :TILE_W]) > AGREEMENT_DB
        assert np.array_equal(image.y[:, :TILE_W], shown[0].y[:, :TILE_W])
    assert psnr(shown[-1].y, fresh.y) > AGREEMENT_DB
    thawed = compositor.compose(TileSource(still, CROPS["moved"]), TileSource(still, CROPS["moved"]), 0, 1)
    assert not np.array_equal(thawed.y[:, :TILE_W], shown[0].y[:, :TILE_W])


def test_padded_rows_and_odd_sizes_are_read(compositor):
    whole = frame_of(waves(0.6), 640, 400)
    part = Frame(whole.y[:301, :423], whole.uv[:151, :212], 0, 1)
    copied = Frame(part.y.copy(), part.uv.copy(), 0, 1)
    for crop in (Rect(0, 0, 423, 301), Rect(183.2, 50.1, 239.8, 250.9)):
        for one, other in zip(tile(compositor, part, crop), tile(compositor, copied, crop), strict=True):
            assert np.array_equal(one, other)


@pytest.mark.parametrize(
    "crop",
    [
        Rect(-1, 0, 100, 100),
        Rect(0, 0, 100, 381),
        Rect(450, 0, 60, 60),
        Rect(5, 5, 0, 10),
        Rect(5, 5, 10, -1),
        Rect(math.nan, 0, 10, 10),
    ],
)
def test_a_crop_outside_its_frame_is_a_mistake(compositor, crop):
    frame = frame_of(waves(0.5), 500, 380)
    with pytest.raises(ValueError, match="not a crop"):
        compositor.compose(TileSource(frame, crop), TileSource(frame, None), 0, 1)


sizes = st.tuples(st.integers(2, 900), st.integers(2, 700))
shares = st.floats(0, 1)


def plain(size, left, top, wide, high):
    """A frame of one colour, and a crop of it."""
    width, height = size
    frame = Frame(
        np.full((height, width), 77, np.uint8),
        np.full(((height + 1) // 2, (width + 1) // 2, 2), (60, 200), np.uint8),
        0,
        1,
    )
    w, h = 1 + wide * (width - 1), 1 + high * (height - 1)
    crop = Rect(left * (width - w), top * (height - h), w, h)
    return frame, crop


@pytest.mark.parametrize("make", COMPOSITORS)
@settings(max_examples=150, deadline=None)
@given(sizes, shares, shares, shares, shares)
def test_any_crop_of_any_frame_gives_a_whole_tile(make, size, left, top, wide, high):
    frame, crop = plain(size, left, top, wide, high)
    out = make(64, 36).compose(TileSource(frame, crop), TileSource(frame, crop), 0, 1)
    assert np.unique(out.y).tolist() == [77]
    assert np.unique(out.uv.reshape(-1, 2), axis=0).tolist() == [[60, 200]]


# Extensions: crops of another shape than their tile


PICTURES = {
    "wide": (Rect(20, 60, 420, 220), Rect(0, 0.2, 1, 0.46)),
    "narrow": (Rect(40, 10, 120, 350), Rect(0.25, 0, 0.5, 1)),
    "shrunk": (Rect(0, 0, 500, 380), Rect(0, 0.1, 1, 0.6)),
    "a corner": (Rect(3.4, 5.7, 200, 100), Rect(0.31, 0.4, 0.69, 0.3)),
}


def part(picture):
    """The picture's rows and columns in luma samples of the tile."""
    left, top, w, h = (
        2 * round(share * size / 2)
        for share, size in zip(
            (picture.x, picture.y, picture.w, picture.h), (TILE_W, TILE_H, TILE_W, TILE_H), strict=True
        )
    )
    return slice(top, top + h), slice(left, left + w)


def extended(compositor, frame, crop, picture):
    out = compositor.compose(TileSource(frame, crop, picture), TileSource(frame, None), 0, 1)
    return out.y[:, :TILE_W], out.uv[:, : TILE_W // 2]


@pytest.mark.parametrize("name", PICTURES)
def test_an_extended_tile_has_its_crop_in_the_picture(compositor, name):
    crop, picture = PICTURES[name]
    frame = frame_of(waves(0.8), 500, 380)
    rows, columns = part(picture)
    y, uv = (plane.copy() for plane in extended(compositor, frame, crop, picture))
    height, width = rows.stop - rows.start, columns.stop - columns.start
    assert psnr(y[rows, columns], defined(frame.y, crop, width, height)) > AGREEMENT_DB
    shown = uv[rows.start // 2 : rows.stop // 2, columns.start // 2 : columns.stop // 2]
    chroma = chroma_crop(crop, width)
    assert psnr(shown, defined(frame.uv, chroma, width // 2, height // 2)) > AGREEMENT_DB


@pytest.mark.parametrize("name", PICTURES)
def test_the_extension_is_the_same_on_every_device(compositor, name):
    crop, picture = PICTURES[name]
    frame = frame_of(waves(0.8, seed=4), 500, 380)
    mine = extended(compositor, frame, crop, picture)
    reference = extended(CpuCompositor(WIDTH, HEIGHT), frame, crop, picture)
    rows, columns = part(picture)
    around = np.ones((TILE_H, TILE_W), bool)
    around[rows, columns] = False
    for one, other, where in zip(mine, reference, (around, around[::2, ::2]), strict=True):
        assert np.abs(one[where].astype(int) - other[where]).max() <= 1


def test_the_extension_is_smooth_and_dark_and_has_the_colours_of_the_crop(compositor):
    image = np.full((380, 500, 3), (40, 60, 220), np.uint8)  # red, and blue on the right
    image[:, 250:] = (200, 60, 30)
    frame = nv12(image)
    _, picture = PICTURES["wide"]
    y, uv = extended(compositor, frame, Rect(40, 60, 420, 220), picture)
    rows, _ = part(picture)
    for around in (y[: rows.start], y[rows.stop :]):
        assert np.abs(np.diff(around.astype(int), axis=1)).max() <= 2
        assert np.abs(np.diff(around.astype(int), axis=0)).max() <= 2
    red, blue = (16 + 0.6 * (float(frame.y[0, x]) - 16) for x in (0, -1))
    assert y[0, 10] == pytest.approx(red, abs=1)
    assert y[-1, -10] == pytest.approx(blue, abs=1)
    assert uv[0, 5] == pytest.approx(128 + 0.6 * (frame.uv[0, 0].astype(float) - 128), abs=1)


def test_an_extension_of_one_colour_has_no_pattern(compositor):
    frame = nv12(np.full((380, 500, 3), (30, 200, 90), np.uint8))
    for crop, picture in PICTURES.values():
        y, uv = extended(compositor, frame, crop, picture)
        assert len(np.unique(y)) == 2
        assert len(np.unique(uv.reshape(-1, 2), axis=0)) == 2


def test_an_extended_tile_keeps_to_its_half(compositor):
    frame = frame_of(waves(0.5), 500, 380)
    crop, picture = PICTURES["wide"]
    plain = TileSource(frame, CROPS["moved"])
    alone = compositor.compose(plain, plain, 0, 1)
    before = alone.y.copy(), alone.uv.copy()
    left = compositor.compose(TileSource(frame, crop, picture), plain, 0, 1)
    assert np.array_equal(left.y[:, TILE_W:], before[0][:, TILE_W:])
    assert np.array_equal(left.uv[:, TILE_W // 2 :], before[1][:, TILE_W // 2 :])
    right = compositor.compose(plain, TileSource(frame, crop, picture), 0, 1)
    assert np.array_equal(right.y[:, :TILE_W], before[0][:, :TILE_W])
    assert np.array_equal(right.y[:, TILE_W:], left.y[:, :TILE_W])


@pytest.mark.parametrize("make", COMPOSITORS)
@settings(max_examples=60, deadline=None)
@given(sizes, shares, shares, shares, shares)
def test_any_crop_of_any_frame_is_extended(make, size, left, top, wide, high):
    frame, crop = plain(size, left, top, wide, high)
    tiles = TileSource(frame, crop, Rect(0, high, 1, 1 - high)), TileSource(frame, crop, Rect(0, 0, wide, 1))
    out = make(64, 36).compose(*tiles, 0, 1)
    assert set(np.unique(out.y)) <= {77, 53}
