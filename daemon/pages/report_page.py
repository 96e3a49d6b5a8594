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

NAME = "output.report.html"
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
    path = result.files.report.with_name(NAME)
    write_durably(path, page_of(result, Translator(languages)))
    return replace(result, files=replace(result.files, html=path))


def page_of(result: JobResult, t: Translator) -> bytes:
    """Return the page of a finished job, made from its report, tracks and preview."""
    report = json.loads(result.files.report.read_bytes())
    report["output"].pop("path")  # delivery decides on it
    bins = min(_MOST_BINS, max(1, round(result.duration_s / _BIN_S)))
    summary = TrackSummary(result.files.tracks, result.duration_s, bins).finish()
    course = _course(report, result.duration_s)
    shown = summary.sources.sum(axis=(0, 2))
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
        swaps=len(course.swaps_s),
        presence=plots.presence(summary.sources, course, {side: _side_name(side, t) for side in SIDES}),
        cameras=_cameras(report["input"]["video"], summary, course),
        latency=plots.latency(report["timing"]["stages"]),
    )


def _course(report: dict[str, Any], duration_s: float) -> plots.Course:
    swaps_s = [swap["t"] for swap in report["identity"].get("repaired_swaps", [])]
    return plots.Course(duration_s, report["degradation"], swaps_s)


def _cameras(video: dict[str, Any], summary: TrackSummary, course: plots.Course) -> dict[str, Markup]:
    return {
        "across": plots.camera(summary.crops, video["width"], course, vertical=False),
        "down": plots.camera(summary.crops, video["height"], course, vertical=True),
    }


def _side_name(side: str, t: Translator) -> Markup:
    shape = Markup('<text class="stage {}" lang="{}">{}</text>')
    return Markup("").join(shape.format(side, tongue, text(f"side.{side}", tongue)) for tongue in t.languages)


def _data_url(frame: Path) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(frame.read_bytes()).decode()
