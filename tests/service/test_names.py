"""Names that were chosen to do harm, through the real service: files keep them, and they are shown harmlessly."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import pytest

from daemon.pages.i18n import Translator, languages
from daemon.share.naming import failed_names, output_names, valid_text
from daemon.status.model import ServiceStatus
from daemon.status.page import page_of
from tests.support.recordings import write_recording
from tests.support.service import Service

NAMES = (
    "new\nline\r\nSTOPPING=1\nWATCHDOG=trigger.mp4",
    "\x1b[2J\x1b]0;title\x07\x7f.mp4",
    "<script>document.title='taken'</script><img src=x onerror=alert(1)>.mp4",
    "' onmouseover='x\" autofocus=\"&lt;&#60;{{ 7*7 }}{% include 'x' %}.mp4",
    "\u202egpj.exe\u2066\u200f.mp4",
    os.fsdecode(b"\xff\xfe\xc3\x28\xed\xa0\x80.mp4"),
    "a" * 251 + ".mp4",
    "한" * 83 + ".mp4",
    "sub\nfolder/%2e%2e%2f…/x#fragment?query.mp4",
)
OTHERS = (
    "-rf --no-preserve-root *",
    "$(touch taken) `touch taken` ; touch taken | %s%n",
    "https:",
    " . .. ",
    "CON",
    "report.json",
    "x.dual",
)
BAD = tuple(f"{stem}.mov" for stem in (*OTHERS, *(name.removesuffix(".mp4")[:83] for name in NAMES)))

pytestmark = pytest.mark.timeout(1800)  # on a busy machine; half a minute otherwise


class Page(HTMLParser):
    """All elements and attributes of a page, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.handlers: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on") or name == "autofocus"]
        self.links += [value for name, value in attrs if name in ("href", "src") and value]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that has worked on all of them."""
    folder = tmp_path_factory.mktemp("names")
    service = Service(folder, status={"interval_s": 0.1, "finished_listed": 100}, workers={"concurrent_jobs": 2})
    try:
        video = write_recording(folder / "video.mp4", seconds=0.4, fps=10, size=(160, 120))
        for name in NAMES:
            shutil.copy(video, service.inbox(name))
        for name in BAD:
            service.inbox(name).write_text("no video")
        service.start()
        service.wait_for(
            lambda: len(service.files("originals")) == len(NAMES) and len(service.files("failed")) == 2 * len(BAD),
            "all of them",
            timeout_s=1500,
        )
        service.wait_for(lambda: len(service.status().get("failed", [])) == len(BAD), "the page")
        assert service.stop() == 0
        yield service
    finally:
        service.close()


def test_every_file_keeps_its_name(done: Service) -> None:
    assert done.files("originals") == set(NAMES)
    assert done.files("inbox") == set()
    expected = {str(Path(name).parent / made) for name in NAMES for made in _outputs(name)}
    assert done.files("outbox") == expected
    assert {name for name in done.files("failed") if not name.endswith(".report.json")} == set(BAD)
    assert not list(done.folder.rglob("taken"))


def _outputs(name: str) -> list[str]:
    """The names of a result's files; the overlay is made on request only."""
    return [made for kind, made in output_names(Path(name).name, 1).items() if kind not in ("debug", "html")]


def test_long_names_are_shortened_in_one_way(done: Service) -> None:
    """So that 255 bytes hold the longest suffix; report, video and the others still belong together."""
    for name in NAMES:
        made = _outputs(name)
        assert all(len(os.fsencode(one)) <= 255 for one in made)
        assert len({one.partition(".dual")[0] for one in made}) == 1
    report = failed_names("b" * 251 + ".mov", 1)["report"]
    assert len(report) <= 255
    assert report.startswith("b" * 150)


def test_reports_are_valid_and_name_the_file(done: Service) -> None:
    named = set()
    for folder in ("outbox", "failed"):
        for path in (done.root / folder).rglob("*.report.json"):
            document = json.loads(path.read_bytes().decode("utf-8", "strict"))
            named.add(document["input"]["path"])
            if folder == "outbox":
                video = valid_text(path.relative_to(done.root)).replace(".report.json", ".mp4")
                assert document["output"]["path"] == video
    assert named == {f"inbox/{valid_text(name)}" for name in (*NAMES, *BAD)}


def test_the_journal_has_one_printable_line_for_each_event(done: Service) -> None:
    raw = done.log_path.read_bytes()
    assert [line for line in raw.splitlines() if not line.startswith(b"{")] == []
    for line in done.journal():
        for key, value in line.items():
            assert not isinstance(value, str) or value.isprintable(), (key, value)


def test_file_names_cannot_send_messages_to_systemd(done: Service) -> None:
    messages = done.notifications()
    keys = {line.partition("=")[0] for message in messages for line in message.split("\n")}
    assert keys <= {"STATUS", "READY", "WATCHDOG", "STOPPING"}
    assert messages.count("STOPPING=1") == 1


def test_the_status_file_names_all_of_them(done: Service) -> None:
    status = json.loads((done.root / "outbox/status.json").read_bytes().decode("utf-8", "strict"))
    assert {job["file"] for job in status["finished"]} == {f"inbox/{valid_text(name)}" for name in NAMES}
    assert {job["file"] for job in status["failed"]} == {f"inbox/{valid_text(name)}" for name in BAD}


def test_the_status_page_shows_them_as_text_and_nothing_else(done: Service) -> None:
    html = (done.root / "outbox/status.html").read_bytes().decode("utf-8", "strict")
    page, plain = Page(html), Page(_of_plain_names(done))
    assert page.handlers == []
    assert page.elements == plain.elements, "a name has brought an element of its own"
    assert "<script>document.title='taken'</script>" in page.text
    assert not any(sign in page.text for sign in "\x1b\x07\x7f\u202e\u2066\u200f")


def test_links_of_the_page_lead_to_the_files(done: Service) -> None:
    html = (done.root / "outbox/status.html").read_text()
    links = [link for link in Page(html).links if not link.startswith(("#", "data:"))]
    assert len(links) >= len(NAMES)
    for link in links:
        parts = urlsplit(link)
        assert not parts.scheme
        assert not parts.netloc
        assert not parts.query
        assert os.path.lexists(done.root / "outbox" / os.fsdecode(unquote_to_bytes(parts.path))), link


def _of_plain_names(done: Service) -> str:
    """The same page, had all files had harmless names."""
    board = json.loads((done.root / "outbox/status.json").read_bytes())
    for row in (*board["finished"], *board["failed"]):
        row["file"] = "inbox/x.mp4"
    for row in board["finished"]:
        row["output"] = "outbox/x.dual.mp4"
    return page_of(ServiceStatus.from_json(json.dumps(board).encode()), Translator(languages("auto"))).decode()
