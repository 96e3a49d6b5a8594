"""A headless Chromium for all tests here; they are skipped where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.chromium import CHROMIUM


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def where_it_is_noon() -> str:
    """A time zone in which no midnight is near, so that "today" means the same at whatever hour the tests run."""
    return f"Etc/GMT{datetime.now(UTC).hour - 12:+d}"  # by POSIX's custom, zones east of Greenwich have a minus


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a file as a reader would.

    Any error, complaint or dialog of a page fails the test, as does any request that leaves the folder, but for a
    complaint that a test expects: ``visit.expected``.
    """
    with ExitStack() as contexts:
        trouble: list[str] = []

        def visit(path: Path, *, width: int = 1000, height: int = 800, **options: Any) -> Any:
            options = {"locale": "en-GB", "timezone_id": where_it_is_noon(), **options}
            context = browser.new_context(viewport={"width": width, "height": height}, **options)
            contexts.callback(context.close)
            page = context.new_page()
            page.on("dialog", lambda dialog: (trouble.append(dialog.message), dialog.dismiss()))
            page.on("pageerror", lambda error: trouble.append(str(error)))
            page.on("console", lambda message: trouble.append(message.text))
            base = path.parent.parent.as_uri()
            page.on("request", lambda r: None if r.url.startswith((base, "data:")) else trouble.append(r.url))
            page.goto(path.as_uri())
            return page

        visit.expected = "nothing"  # type: ignore[attr-defined]
        yield visit
        assert [text for text in trouble if visit.expected not in text] == []  # type: ignore[attr-defined]
