"""Plots for the HTML report, as SVG without scripts or inline styles: the page's CSS classes colour them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from pipeline.people import Side
from pipeline.report.time_axis import ticks, whole_clock_text
from pipeline.segments.tracks_file import SIDES, SOURCES

WIDTH = 860
_LEFT, _RIGHT = 64, 12
_BAR, _GAP = 26, 8
_CHART = 150
_STAGE = 34
_LABEL = Markup('<text x="{}" y="{}" class="{}">{}</text>')


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """The time axis of a plot, with degradation and repaired swaps on it.

    Attributes:
        spans: as in the report's ``degradation``.
        swaps_s: times at which swaps of the two people were repaired.
    """

    duration_s: float
    spans: Sequence[Mapping[str, Any]] = ()
    swaps_s: Sequence[float] = ()

    def x(self, t: float) -> float:
        share = min(1.0, max(0.0, t / max(self.duration_s, 1e-6)))
        return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT), 1)

    def draw(self, bottom: float) -> Iterator[Markup]:
        """Draw degradation, swaps and times below a plot."""
        for span in self.spans:
            left, right = self.x(span["from_s"]), self.x(span["to_s"])
            shape = Markup('<rect x="{}" y="{}" width="{}" height="6" class="level-{}"/>')
            yield shape.format(left, bottom + 2, round(max(3.0, right - left), 1), span["level"])
        for t in self.swaps_s:
            yield Markup('<path d="M{} 0V{}" class="swap"/>').format(self.x(t), bottom + 8)
        for t in ticks(self.duration_s, most=9):
            yield _LABEL.format(self.x(t), bottom + 26, "time" if t else "time first", whole_clock_text(t))


def presence(sources: NDArray[np.int64], axis: TimeAxis, sides: Mapping[Side, Markup]) -> Markup:
    """Plot each tile's source over the duration: a bar for each of ``sides``, the best source on top.

    Args:
        sources: frames by side, source and bin, shape (2, sources, bins).
        sides: SVG that names a side, by side.
    """
    parts: list[Markup] = []
    for row, (side, name) in enumerate(sides.items()):
        top = row * (_BAR + _GAP)
        parts.append(_side(name, top + _BAR / 2))
        parts.extend(_bar(sources[SIDES.index(side)], top, axis))
    bottom = len(sides) * (_BAR + _GAP) - _GAP
    return _svg(bottom + 32, (*parts, *axis.draw(bottom)))


def _bar(sources: NDArray[np.int64], top: float, axis: TimeAxis) -> Iterator[Markup]:
    """Draw one path for each source: a rectangle in each bin with the height of its share, at least 1."""
    shares = _BAR * sources / np.maximum(1, sources.sum(axis=0))
    edges = top + np.vstack((np.zeros(shares.shape[1]), np.cumsum(shares, axis=0)))
    step = axis.duration_s / shares.shape[1]
    for number, source in enumerate(SOURCES):
        rectangles = [
            f"M{axis.x(place * step)} {min(edges[number, place], top + _BAR - 1):.1f}"
            f"H{axis.x((place + 1) * step)}v{max(1.0, shares[number, place]):.1f}H{axis.x(place * step)}z"
            for place in np.flatnonzero(shares[number])
        ]
        if rectangles:
            yield Markup('<path d="{}" class="source-{}"/>').format("".join(rectangles), source)


def camera(crops: NDArray[np.float64], extent: float, axis: TimeAxis, *, vertical: bool) -> Markup:
    """Plot what the two tiles show of the source over the duration: bands with middle lines.

    Args:
        crops: mean centre x and y, width and height by side and bin in pixels, shape (2, bins, 4); NaN is left out.
        extent: width or height of the source in pixels.
    """
    parts = [
        Markup('<rect x="{}" width="{}" height="{}" class="field"/>').format(_LEFT, WIDTH - _LEFT - _RIGHT, _CHART)
    ]
    parts += [_LABEL.format(_LEFT - 8, y, "pixels", text) for y, text in ((12, "0"), (_CHART, round(extent)))]
    middle, size = (1, 3) if vertical else (0, 2)
    for row, side in enumerate(SIDES):
        parts.extend(_band(crops[row][:, middle], crops[row][:, size], extent, side, axis))
    return _svg(_CHART + 32, (*parts, *axis.draw(_CHART)))


def _band(
    middle: NDArray[np.float64], size: NDArray[np.float64], extent: float, side: str, axis: TimeAxis
) -> Iterator[Markup]:
    places = np.flatnonzero(np.isfinite(middle))
    if not places.size:
        return
    xs = [axis.x((place + 0.5) * axis.duration_s / len(middle)) for place in places]
    low, centre, high = (
        [round(float(np.clip(v, 0, extent)) * _CHART / max(extent, 1e-6), 1) for v in values[places]]
        for values in (middle - size / 2, middle, middle + size / 2)
    )
    outline = (*zip(xs, low, strict=True), *zip(reversed(xs), reversed(high), strict=True))
    yield Markup('<polygon points="{}" class="band {}"/>').format(_points(outline), side)
    yield Markup('<polyline points="{}" class="line {}"/>').format(_points(zip(xs, centre, strict=True)), side)


def latency(stages: Mapping[str, Mapping[str, float]]) -> Markup:
    """Plot the milliseconds per frame of each stage: a bar to the median, a lighter one to p95, a mark at p99."""
    largest = max((stage["p99_ms"] for stage in stages.values()), default=0.0)
    return _svg(
        len(stages) * _STAGE, (shape for n, s in enumerate(stages) for shape in _stage(n, s, stages[s], largest))
    )


def _stage(number: int, name: str, stage: Mapping[str, float], largest: float) -> Iterator[Markup]:
    top, room = number * _STAGE, WIDTH - 84 - 120
    median, p95, p99 = (round(stage[key] / max(largest, 1e-6) * room, 1) for key in ("p50_ms", "p95_ms", "p99_ms"))
    bar = Markup('<rect x="84" y="{}" width="{}" height="18" class="{}"/>')
    yield _LABEL.format(76, top + 18, "stage", name)
    yield bar.format(top + 4, max(1.0, p95), "p95")
    yield bar.format(top + 4, max(1.0, median), "p50")
    yield Markup('<path d="M{} {}v24" class="p99"/>').format(84 + p99, top + 1)
    yield _LABEL.format(84 + p99 + 8, top + 18, "value", f"{stage['p50_ms']:.1f} / {stage['p95_ms']:.1f} ms")


def _side(name: Markup, middle: float) -> Markup:
    return Markup('<g transform="translate({} {})">{}</g>').format(_LEFT - 8, middle + 5, name)


def _points(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)


def _svg(height: float, parts: Iterable[Markup]) -> Markup:
    head = Markup('<svg viewBox="0 0 {} {}" aria-hidden="true" focusable="false">')
    return head.format(WIDTH, round(height)) + Markup("").join(parts) + Markup("</svg>")
