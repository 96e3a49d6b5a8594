"""Frames of the status page in every state, to be looked at: ``python -m tests.browser.screenshots DIR``."""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.service_statuses import STATES, write
from tests.support.chromium import CHROMIUM

LOOKS = {
    "light": {"viewport": {"width": 1000, "height": 800}, "locale": "en-GB"},
    "dark-ko": {"viewport": {"width": 1000, "height": 800}, "locale": "ko-KR", "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 800}, "locale": "en-GB", "device_scale_factor": 2},
    "phone-ko": {"viewport": {"width": 390, "height": 800}, "locale": "ko-KR", "device_scale_factor": 2},
}


def main(folder: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for state, board in STATES.items():
            page_file = write(folder / "share" / "outbox", board())
            for look, options in LOOKS.items():
                page = browser.new_page(**options)
                page.goto(page_file.as_uri())
                page.evaluate("Promise.all([...document.images].map((i) => (i.loading = 'eager', i.decode())))")
                page.screenshot(path=folder / f"{state}-{look}.png", full_page=True)
                page.close()
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
