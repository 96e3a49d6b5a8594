"""The HTML report: its content, that it is self-contained, and that untrusted text is escaped."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from markupsafe import Markup

from daemon.pages.report_page import add_report_page
from pipeline.report.plots import TimeAxis, camera, latency, presence
from pipeline.segments.tracks_file import SOURCES
from tests.support.reports import finished_job, write_report_page

SVG = "{http://www.w3.org/2000/svg}"


def parsed(svg: Markup) -> ElementTree.Element:
    return ElementTree.fromstring(str(svg).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def area(element: ElementTree.Element) -> float:
    """Of a path that holds nothing but rectangles."""
    shapes = re.findall(r"M([\d.]+) [\d.]+H([\d.]+)v([\d.]+)", element.attrib["d"])
    return sum((float(right) - float(left)) * float(height) for left, right, height in shapes)


def test_the_page_is_self_contained_and_escapes_names(tmp_path: Path) -> None:
    page = write_report_page(tmp_path).read_text()
    assert "<img src=x" not in page and "<b>card" not in page
    assert "\u202e" not in page and "\\u202e&lt;img src=x onerror=alert(1)&gt;" in page
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert "http" not in re.sub(r'http-equiv|xmlns="[^"]*"|data:[^"]*', "", page)
    assert page.count("<svg") > 4
    for words in ("mix-ups of the two people repaired", "Softer frames", "still frame", "정지 화면"):
        assert words.lower() in page.lower()


def test_the_page_is_one_of_the_jobs_files_and_of_the_wanted_languages(tmp_path: Path) -> None:
    result = finished_job(tmp_path)
    made = add_report_page(result, ("ko",))
    assert result.files.html is None and made.files.html is not None
    page = made.files.html.read_text()
    assert "정지 화면" in page and "still frame" not in page and 'data-language="en"' not in page


@pytest.mark.parametrize("seconds", [0.02, 1.0, 700.0])
def test_short_and_long_recordings_have_a_page_of_bounded_size(tmp_path: Path, seconds: float) -> None:
    assert 10_000 < write_report_page(tmp_path, seconds=seconds).stat().st_size < 150_000


def test_a_video_without_tiles_has_one_bar(tmp_path: Path) -> None:
    split = write_report_page(tmp_path / "split", "en").read_text()
    output = json.loads((tmp_path / "split" / "output.report.json").read_bytes())["output"]
    single = write_report_page(tmp_path / "single", "en", output=output | {"layout": "single"}).read_text()
    assert ">Person</text>" in single and ">Person</text>" not in split
    assert ">Right</text>" in split and ">Right</text>" not in single


def test_bars_show_shares_of_sources() -> None:
    sources = np.zeros((2, len(SOURCES), 10), np.int64)
    sources[:, 0] = 10
    sources[1, 0, 5:] = 5
    sources[1, SOURCES.index("frozen"), 5:] = 5
    drawn = parsed(presence(sources, TimeAxis(10.0), {"left": Markup(), "right": Markup()}))
    left, right, frozen = drawn.findall(f"{SVG}path")
    assert [p.attrib["class"] for p in (left, right, frozen)] == ["source-detected", "source-detected", "source-frozen"]
    assert area(right) == pytest.approx(0.75 * area(left), rel=0.01)
    assert area(frozen) == pytest.approx(0.25 * area(left), rel=0.01)


def test_the_camera_path_follows_the_crops_and_skips_what_is_not_known() -> None:
    crops = np.zeros((2, 4, 4))
    crops[0] = [(100, 50, 100, 100), (200, 50, 100, 100), (np.nan,) * 4, (400, 50, 100, 100)]
    crops[1] = np.nan
    drawn = parsed(camera(crops, 500.0, TimeAxis(4.0), vertical=False))
    (line,) = drawn.findall(f"{SVG}polyline")
    ys = [float(point.split(",")[1]) for point in line.attrib["points"].split()]
    assert ys == [30, 60, 120]


def test_marks_lie_at_their_times() -> None:
    span = {"from_s": 5.0, "to_s": 10.0, "level": "frame_skip"}
    crops = np.full((2, 1, 4), np.nan)
    drawn = parsed(camera(crops, 500.0, TimeAxis(10.0, [span], [2.5]), vertical=True))
    band = drawn.find(f"{SVG}rect[@class='level-frame_skip']")
    swap = drawn.find(f"{SVG}path[@class='swap']")
    assert band is not None and swap is not None
    assert float(band.attrib["x"]) == pytest.approx(64 + 392)
    assert float(band.attrib["width"]) == pytest.approx(392)
    assert swap.attrib["d"].startswith("M260.0 ")


def test_latency_bars_are_in_proportion() -> None:
    stage = {"p50_ms": 1.0, "p95_ms": 2.0, "p99_ms": 4.0}
    drawn = parsed(latency({"a": stage, "b": {**stage, "p99_ms": 8.0}}))
    widths = [float(r.attrib["width"]) for r in drawn.findall(f"{SVG}rect")]
    assert widths == [164, 82, 164, 82]
    assert len(parsed(latency({}))) == 0
