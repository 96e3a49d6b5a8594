"""The curve from HDR to SDR, beside an independent one, at the values that the recommendations name, and as a table."""

from __future__ import annotations

import numpy as np
import pytest

from engines.frames import ColorTags
from engines.tone_map import SDR_WHITE, ToneSource, light_to_pq, pq_to_light, table, to_sdr, tone_source
from tests.support import tone_reference as reference

SOURCES = [ToneSource("hlg", 9), ToneSource("pq", 9), ToneSource("pq", 9, 4000.0), ToneSource("sdr", 9)]
by_source = pytest.mark.parametrize("source", SOURCES, ids=lambda s: f"{s.transfer} {s.peak:.0f}")


@by_source
def test_it_is_what_the_recommendations_say(source: ToneSource) -> None:
    colours = np.random.default_rng(1).random((500, 3))
    expected = np.array([reference.sdr(tuple(c), source.transfer, source.peak) for c in colours])
    # The published matrices have four digits, which tell most where a channel is almost 0.
    assert np.abs(to_sdr(colours, source) ** 2.4 - expected**2.4).max() < 1e-3


@by_source
def test_greys_stay_grey_and_in_order(source: ToneSource) -> None:
    greys = to_sdr(np.repeat(np.linspace(0, 1, 1024)[:, None], 3, axis=1), source)
    assert np.ptp(greys, axis=1).max() < 1e-6
    assert (np.diff(greys[:, 0]) >= 0).all()
    assert (greys[0, 0], greys[-1, 0]) == pytest.approx((0, 1), abs=1e-6)


def test_pq_at_the_values_that_bt2408_names() -> None:
    assert pq_to_light(0.58) == pytest.approx(203, rel=0.01)
    assert pq_to_light(1.0) == pytest.approx(10_000)
    assert pq_to_light(light_to_pq(np.array([0.01, 1, 100, 4000]))) == pytest.approx([0.01, 1, 100, 4000])


def test_what_is_no_brighter_than_a_face_keeps_its_brightness() -> None:
    """The EETF begins above that; HLG's 50 % are 50 cd/m2, a face has 30 to 60 (BT.2408)."""
    code = float(light_to_pq(50.0))
    grey = to_sdr(np.array([[code] * 3]), ToneSource("pq", 9))[0, 0]
    assert SDR_WHITE * grey**2.4 == pytest.approx(50, rel=1e-3)


def test_reference_white_stays_bright_and_highlights_stay_below_white() -> None:
    white, highlight = to_sdr(np.array([[0.75] * 3, [0.9] * 3]), ToneSource("hlg", 9))[:, 0]
    assert 0.85 < white < highlight < 1.0


def test_a_colour_outside_bt709_keeps_its_luminance() -> None:
    green = np.array([[0.2, 0.8, 0.2]])
    luma = np.array([0.2126, 0.7152, 0.0722])
    mapped = to_sdr(green, ToneSource("sdr", 9))
    assert (mapped**2.4 @ luma)[0] == pytest.approx(float(green[0] ** 2.4 @ [0.2627, 0.6780, 0.0593]), rel=1e-3)
    assert mapped.min() == pytest.approx(0, abs=1e-3)


@by_source
def test_the_table_is_close_to_the_curve(source: ToneSource) -> None:
    """Of all colours 99 % within 3 steps of 8 bits in luma, 2 where there is little colour."""
    rng = np.random.default_rng(2)
    every = rng.random((20_000, 3))
    dull = np.clip(rng.random((20_000, 1)) + rng.normal(0, 0.05, (20_000, 3)), 0, 1)
    for colours, steps in ((every, 3.0), (dull, 2.0)):
        error = interpolated(table(source), colours) - to_sdr(colours, source)
        error = np.abs(error @ [0.2126, 0.7152, 0.0722]) * 219
        assert np.percentile(error, 99) < steps
        assert error.mean() < 0.15


def interpolated(values: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Tetrahedral interpolation."""
    place = colours * (len(values) - 1)
    corner = np.minimum(place.astype(int), len(values) - 2)
    part = place - corner
    order = np.argsort(-part, axis=1, kind="stable")
    part = np.take_along_axis(part, order, axis=1)
    found = (1 - part[:, :1]) * values[tuple(corner.T)]
    for n in range(3):
        np.put_along_axis(corner, order[:, n : n + 1], np.take_along_axis(corner, order[:, n : n + 1], 1) + 1, 1)
        found += (part[:, n : n + 1] - (part[:, n + 1 : n + 2] if n < 2 else 0)) * values[tuple(corner.T)]
    return found


@pytest.mark.parametrize(
    ("tags", "peak", "expected"),
    [
        (ColorTags(9, 18, 9), None, ToneSource("hlg", 9)),
        (ColorTags(2, 18, 2), None, ToneSource("hlg", 9)),
        (ColorTags(9, 16, 9), None, ToneSource("pq", 9, 1000.0)),
        (ColorTags(9, 16, 9), 4000.0, ToneSource("pq", 9, 4000.0)),
        (ColorTags(9, 16, 9), 1e9, ToneSource("pq", 9, 10_000.0)),
        (ColorTags(12, 16, 9), None, ToneSource("pq", 12, 1000.0)),
        (ColorTags(9, 14, 9), 4000.0, ToneSource("sdr", 9)),
        (ColorTags(9, 2, 9), None, ToneSource("sdr", 9)),
        (ColorTags(1, 1, 1), 4000.0, None),
        (ColorTags(), None, None),
        (ColorTags(5, 6, 5), None, None),
        (ColorTags(12, 1, 1), None, None),
    ],
)
def test_tags_say_what_to_do(tags: ColorTags, peak: float | None, expected: ToneSource | None) -> None:
    assert tone_source(tags, peak) == expected
