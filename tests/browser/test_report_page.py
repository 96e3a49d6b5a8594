"""The HTML report in a real browser, opened as a file: names, languages, small screens, contrast."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.contrast import CONTRASTS
from tests.support.reports import HOSTILE, write_report_page

Visit = Callable[..., Any]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report_page(tmp_path_factory.mktemp("share") / "outbox")


def opened(page: Any) -> Any:
    page.evaluate("document.querySelectorAll('details').forEach((part) => part.open = true)")
    return page


def test_hostile_names_are_harmless(report: Path, visit: Visit) -> None:
    page = opened(visit(report))
    assert page.inner_text("h1") == HOSTILE.replace("\u202e", "\\u202e")
    assert page.inner_text("body").count("onerror") == 3, "heading, path and codec"
    assert page.locator("img").count() == 1
    assert page.evaluate("document.images[0].naturalWidth") == 60


@pytest.mark.parametrize(
    ("locale", "said", "unsaid"), [("ko-KR", "정지 화면", "still frame"), ("en-US", "still frame", "정지 화면")]
)
def test_the_reader_s_language(report: Path, visit: Visit, locale: str, said: str, unsaid: str) -> None:
    text = visit(report, locale=locale).inner_text("main")
    assert said in text and unsaid not in text


def test_a_reader_can_choose(report: Path, visit: Visit) -> None:
    page = visit(report)
    left = page.locator("svg text.left")
    assert [side.is_visible() for side in left.all()] == [True, False]
    page.get_by_role("button", name="한국어").click()
    assert "정지 화면" in page.inner_text("main")
    assert [side.is_visible() for side in left.all()] == [False, True]


def test_plots_have_the_page_s_colours(report: Path, visit: Visit) -> None:
    fills = "[...document.querySelectorAll('svg [class]')].map((shape) => getComputedStyle(shape).fill)"
    light, dark = (visit(report, color_scheme=scheme).evaluate(fills) for scheme in ("light", "dark"))
    assert "rgb(221, 109, 34)" in light, "what was frozen"
    assert "rgb(0, 0, 0)" not in light + dark, "each class has its colour"
    assert light != dark


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read(report: Path, visit: Visit, scheme: str) -> None:
    page = opened(visit(report, color_scheme=scheme))
    found = page.evaluate(CONTRASTS)
    assert len(found) > 50
    assert [text for text in found if text[0] < 4.5] == []


def test_a_phone_needs_to_be_moved_sideways_only_within_plots(report: Path, visit: Visit) -> None:
    page = opened(visit(report, width=360))
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    plot = page.locator(".wide").first
    assert plot.evaluate("plot => plot.scrollWidth > plot.clientWidth")
    plot.focus()
    page.keyboard.press("ArrowRight")
    moved = (
        plot.evaluate("plot => new Promise((done) => setTimeout(() => done(plot.scrollLeft), 50))") for _ in range(200)
    )
    assert any(left > 0 for left in moved)
