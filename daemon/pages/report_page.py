"""Writes NAME.dual.report.html: the report of a finished job for people, with plots, in one file."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from daemon.pages import facts, html
from daemon.pages.i18n import Language, Translator, text
from pipeline.durable import write_durably
from pipeline.job import JobResult
from pipeline.report import plots
from pipeline.segments.tracks_file import SIDES, SOURCES, TrackSummary
from pipeline.workdir import WorkDir

_BIN_S = 0.5  # the finest resolution of a plot
_MOST_BINS = 400  # so that an hour takes no more space than some minutes
_SECTIONS = (
    "input", "output", "identity", "timing", "degradation", "backends", "compute", "resilience", "versions", "models",
)  # fmt: skip


def add_report_page(result: JobResult, languages: Sequence[Language]) -> JobResult:
    """Write the page beside a finished job's report; return the result with its path.

    Raises:
        OSError: the work directory cannot be read or written.
    """
    path = WorkDir(result.files.report.parent).output("html")
    write_durably(path, page_of(result, Translator(languages)))
    return replace(result, files=replace(result.files, html=path))


def page_of(result: JobResult, t: Translator) -> bytes:
    """Return the page of a finished job, made from its report, tracks and preview."""
    report = json.loads(result.files.report.read_bytes())
    report["output"].pop("path")  # delivery decides on it
    bins = min(_MOST_BINS, max(1, round(result.duration_s / _BIN_S)))
    summary = TrackSummary(result.files.tracks, result.duration_s, bins).finish()
    axis = _time_axis(report, result.duration_s)
    is_single = report["output"].get("layout") == "single"
    sides = {summary.busier_side: "person"} if is_single else {side: side for side in SIDES}
    shown = summary.sources[[SIDES.index(side) for side in sides]].sum(axis=(0, 2))
    return html.render(
        "report.html.j2",
        ("base.css", "report.css"),
        ("base.js", "report.js"),
        t=t,
        report=report,
        sections=[name for name in _SECTIONS if report[name]],
        facts=list(facts.statements(result.facts, result.verdict, t)),
        warned=facts.warnings(result.facts, t),
        preview=_data_url(result.files.preview),
        sources=[source for source, count in zip(SOURCES, shown, strict=True) if count],
        levels=sorted({span["level"] for span in report["degradation"]}),
        swaps=len(axis.swaps_s),
        presence=plots.presence(summary.sources, axis, {side: _label(side, name, t) for side, name in sides.items()}),
        cameras=_cameras(report["input"]["video"], summary, axis),
        latency=plots.latency(report["timing"]["stages"]),
    )


def _time_axis(report: dict[str, Any], duration_s: float) -> plots.TimeAxis:
    swaps_s = [swap["t"] for swap in report["identity"].get("repaired_swaps", [])]
    return plots.TimeAxis(duration_s, report["degradation"], swaps_s)


def _cameras(video: dict[str, Any], summary: TrackSummary, axis: plots.TimeAxis) -> dict[str, Markup]:
    return {
        "across": plots.camera(summary.crops, video["width"], axis, vertical=False),
        "down": plots.camera(summary.crops, video["height"], axis, vertical=True),
    }


def _label(side: str, name: str, t: Translator) -> Markup:
    shape = Markup('<text class="stage {}" lang="{}">{}</text>')
    return Markup("").join(shape.format(side, tongue, text(f"side.{name}", tongue)) for tongue in t.languages)


def _data_url(frame: Path) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(frame.read_bytes()).decode()
