"""The status page in a real browser, opened as a file: languages, freshness, staleness, small screens, readers."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.contrast import CONTRASTS
from tests.browser.service_statuses import HOSTILE, STATES, ago, busy, done, empty, write

Visit = Callable[..., Any]


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    return tmp_path / "outbox"


def visible(page: Any) -> str:
    return str(page.inner_text("body"))


@pytest.mark.parametrize("state", STATES)
def test_hostile_names_are_harmless_in_every_state(outbox: Path, visit: Visit, state: str) -> None:
    page = visit(write(outbox, STATES[state]()))
    if state != "idle":
        assert HOSTILE.replace("\u202e", "\\u202e") in visible(page)
    assert page.locator("img[src=x]").count() == 0


def test_the_policy_stops_what_escaping_might_miss(outbox: Path, visit: Visit) -> None:
    visit.expected = "violates the following Content Security Policy"  # type: ignore[attr-defined]
    page = visit(write(outbox, empty()))
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p id=here></p>')")
    assert page.evaluate(
        """() => new Promise((done) => {
          document.addEventListener('securitypolicyviolation', (e) => done(e.effectiveDirective));
          const script = document.createElement('script');
          script.textContent = 'window.ran = true';
          document.body.append(script);
        })"""
    ).startswith("script-src")
    assert page.evaluate("window.ran") is None


@pytest.mark.parametrize(
    ("locale", "language", "said", "unsaid"),
    [("ko-KR", "ko", "대기 중", "Waiting"), ("en-US", "en", "Waiting", "대기"), ("fr-FR", "en", "Waiting", "대기")],
)
def test_the_reader_s_language(outbox: Path, visit: Visit, locale: str, language: str, said: str, unsaid: str) -> None:
    page = visit(write(outbox, busy(finished=[], failed=[])), locale=locale)
    assert page.evaluate("document.documentElement.lang") == language
    assert said in visible(page)
    assert unsaid not in visible(page)


def test_the_configured_language_wins(outbox: Path, visit: Visit) -> None:
    page = visit(write(outbox, busy(), "ko"), locale="en-GB")
    assert "처리 중" in visible(page)
    assert "Waiting" not in visible(page)


def test_a_reader_can_choose(outbox: Path, visit: Visit) -> None:
    page = visit(write(outbox, busy()))
    page.get_by_role("button", name="한국어").click()
    assert "대기 중" in visible(page)
    assert page.title() == "작업 중: dualface"
    page.reload()
    assert "대기 중" in visible(page)


def test_it_keeps_itself_fresh_and_the_reader_s_place(outbox: Path, visit: Visit) -> None:
    many = [done(n, f"file {n}", n) for n in range(1, 30)]
    page = visit(write(outbox, busy(finished=many)))
    page.locator("#more-f1").click()
    page.evaluate("scrollTo(0, 1500)")
    page.evaluate("document.getElementById('report-d9').focus({preventScroll: true})")
    page.evaluate("window.sameDocument = true")
    board = busy(finished=[done(99, "brand new", 0), *many], queued=7)
    board.running[0] = board.running[0].__class__(**{**as_dict(board.running[0]), "percent": 77.0})
    write(outbox, board)
    page.wait_for_selector("#done-d99", timeout=60000)
    assert page.get_by_role("progressbar").first.evaluate("bar => bar.value") == 77
    assert page.evaluate("scrollY") == pytest.approx(1500, abs=250)  # the browser keeps what is seen in its place
    assert page.evaluate("document.activeElement.id") == "report-d9"
    assert page.evaluate("document.getElementById('more-f1').parentElement.open")
    assert page.evaluate("window.sameDocument"), "nothing was loaded anew"
    assert page.evaluate("document.querySelector('#today').children.length") == 30


def as_dict(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__slots__}


def test_it_says_when_it_is_stale_and_since_when(outbox: Path, visit: Visit) -> None:
    fresh = visit(write(outbox, busy(updated_at=ago(1))))
    assert fresh.locator("#stale").is_hidden()
    page = visit(write(outbox, busy(updated_at="2026-01-05T05:02:00+00:00")), timezone_id="Asia/Seoul")
    assert re.search(r"The service has not reported since 5 Jan.* 14:02\.", page.locator("#stale").inner_text())
    assert visit(write(outbox, busy(state="stopped", updated_at=ago(600)))).locator("#stale").is_hidden()


def test_an_open_page_becomes_stale_and_recovers(outbox: Path, visit: Visit) -> None:
    visit.expected = "ERR_FILE_NOT_FOUND"  # type: ignore[attr-defined]
    page = visit(write(outbox, busy()))
    shutil.move(outbox / "status.html", outbox / "gone.html")
    page.evaluate("Date.now = ((now) => () => now() + 200000)(Date.now)")
    page.wait_for_selector("#stale:not([hidden])", timeout=30000)
    write(outbox, busy(updated_at=ago(-1), queued=77))
    page.wait_for_selector("#stale[hidden]", state="attached", timeout=60000)


def test_today_is_the_reader_s(outbox: Path, visit: Visit) -> None:
    page = visit(write(outbox, busy()))
    assert page.locator("#today > li").count() == 3
    assert page.locator("#earlier-list > li").count() == 2
    assert page.locator("#count-done").inner_text() == "3"


@pytest.mark.parametrize("locale", ["en-GB", "ko-KR"])
@pytest.mark.parametrize("width", [320, 390])
def test_nothing_is_cut_off_on_a_phone(outbox: Path, visit: Visit, width: int, locale: str) -> None:
    page = visit(write(outbox, busy()), width=width, locale=locale)
    page.evaluate("document.querySelectorAll('details').forEach((d) => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", ["busy", "stale", "paused"])
def test_text_can_be_read(outbox: Path, visit: Visit, scheme: str, state: str) -> None:
    page = visit(write(outbox, STATES[state]()), color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((d) => d.open = true)")
    poor = [(round(contrast, 2), text) for contrast, text in page.evaluate(CONTRASTS) if contrast < 4.5]
    assert poor == []


def test_a_screen_reader_finds_its_way(outbox: Path, visit: Visit) -> None:
    page = visit(write(outbox, busy()))
    for role in ("banner", "navigation", "main", "contentinfo"):
        assert page.get_by_role(role).count() == 1, role
    bar = page.get_by_role("progressbar", name="Interview – final.mp4")
    assert bar.count() == 1
    assert page.get_by_role("progressbar").count() == 3
    for region in ("In work", "Waiting", "Failed", "Done today", "Machines"):
        assert page.get_by_role("region", name=region, exact=True).count() == 1, region
    assert page.locator("[aria-live=polite]").inner_text().startswith("Working")
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))


def test_everything_can_be_reached_by_keyboard(outbox: Path, visit: Visit) -> None:
    page = visit(write(outbox, busy()))
    reachable = page.locator("a:visible, summary:visible, button:visible").count()
    reached = set()
    for _ in range(reachable):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.outerHTML"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert len(reached) == reachable


def test_reduced_motion_means_none(outbox: Path, visit: Visit) -> None:
    page = visit(write(outbox, busy()), reduced_motion="reduce")
    moving = "[...document.querySelectorAll('*')].filter(e => getComputedStyle(e).transitionDuration !== '0s').length"
    assert page.evaluate(moving) == 0


def test_it_works_without_script(outbox: Path, visit: Visit) -> None:
    page = visit(write(outbox, busy()), java_script_enabled=False)
    assert "In work" in visible(page)
    assert "처리 중" not in visible(page)
    assert '<noscript><meta http-equiv="refresh"' in (outbox / "status.html").read_text()


def test_previews_are_shown_and_links_lead_to_the_files(outbox: Path, visit: Visit) -> None:
    board = busy()
    write(outbox, board)
    stem = board.finished[2].output.removeprefix("outbox/").removesuffix(".dual.mp4")
    (outbox / f"{stem}.dual.report.json").write_bytes(b"{}")
    page = visit(outbox / "status.html")
    page.locator("#thumb-d3 img").scroll_into_view_if_needed()
    assert page.evaluate("document.querySelector('#thumb-d3 img').decode().then(() => true)")
    page.locator("#report-d3").click()
    page.wait_for_url(re.compile(r"report\.json$"))
    assert page.inner_text("body") == "{}"
