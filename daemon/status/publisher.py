"""The status page in the outbox, for everybody who only has the folder: status.json and status.html."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import PurePath
from typing import Any

from markupsafe import Markup

from daemon.clock import Clock
from daemon.config.settings import StatusSettings
from daemon.layout import FAILED_DIR, OUTBOX_DIR, STATUS_HTML, STATUS_JSON
from daemon.pages import facts, html
from daemon.pages.i18n import Speaker, Word, languages
from daemon.share.share import Share
from daemon.status.model import HostLine, ServiceStatus, now
from daemon.status.store import Hosts
from engines.files import replace_file

_ALIVE_S = 60.0  # the page is written at least this often, so that a reader can tell that it is stale


class StatusPage:
    """Writes this service's board and the page of all when something has changed, and not too often.

    Attributes:
        hosts: all services of the share, as the page says.
    """

    def __init__(self, share: Share, settings: StatusSettings, clock: Clock) -> None:
        self._outbox = share.outbox
        self._hosts = Hosts(share.hosts, share.jobs)
        self._clock = clock
        self.adopt(settings)
        self._content: dict[str, Any] | None = None
        self._stamps: dict[str, int] = {}
        self._looked_at = self._written_at = -_ALIVE_S
        self.hosts: list[HostLine] = []

    def adopt(self, settings: StatusSettings) -> None:
        """Go on with other settings."""
        self._settings = settings
        self._speaker = Speaker(languages(settings.language))

    @property
    def due(self) -> bool:
        """Whether it is time to look for changes."""
        return self._clock() - self._looked_at >= self._settings.interval_s

    def show(self, board: ServiceStatus, *, at_once: bool = False) -> None:
        """Write what has changed, if it is time to.

        Raises:
            OSError: the share cannot be written.
        """
        if not (at_once or self.due):
            return
        now_s = self._looked_at = self._clock()
        board.updated_at = ""
        changed = asdict(board) != self._content or now_s - self._written_at >= _ALIVE_S
        if not changed and self._hosts.stamps() == self._stamps:
            return
        content = asdict(board)
        board.updated_at = now()
        if changed:
            self._hosts.write(board)
            self._content, self._written_at = content, now_s
        self._stamps = self._hosts.stamps()
        together = self._hosts.together(board, listed=self._settings.finished_listed)
        self.hosts = together.hosts
        self._write(together, board.host)

    def _write(self, page: ServiceStatus, writer: str) -> None:
        content = json.dumps(asdict(page), indent=1, ensure_ascii=False).encode()
        replace_file(self._outbox / STATUS_JSON, content, writer=writer)
        replace_file(self._outbox / STATUS_HTML, page_of(page, self._speaker), writer=writer)


def page_of(board: ServiceStatus, t: Speaker) -> bytes:
    """The status page that shows a board."""
    is_today = [_date(job.at) == _date(board.updated_at) for job in board.finished]
    return html.render(
        "status.html.j2",
        ("base.css", "status.css"),
        ("base.js", "status.js"),
        ("copy.js",),
        t=t,
        board=board,
        today=[job for job, today in zip(board.finished, is_today, strict=True) if today],
        earlier=[job for job, today in zip(board.finished, is_today, strict=True) if not today],
        waiting=board.queued + len(board.waiting),
        several=len(board.hosts) > 1,
        profiles=len({inbox.profile for inbox in board.inboxes}) > 1,
        inboxes=Markup(", ").join(_folder(inbox.path) for inbox in board.inboxes) or _folder("inbox"),
        failed_folder=_folder(FAILED_DIR),
        said=_said(board),
        state=Word(f"state.{board.state}"),
        title=_title(board, t),
        facts=lambda job: list(facts.told(job.facts, job.verdict, t)),
        warned=lambda job: facts.warned(job.facts, t),
        what=lambda code, message: t.error(code, "what", message),
        remedy=lambda code, text: t.error(code, "do", text),
        inside=lambda path: str(PurePath(path).relative_to(OUTBOX_DIR)),
    )


def _title(board: ServiceStatus, t: Speaker) -> str:
    return f"{Word(f'state.{board.state}').words(t.languages[0])}: dualface"


def _said(board: ServiceStatus) -> str:
    """What a person or the program said about the state, where the catalogue has no words for it."""
    if "text" in board.reason_values:
        return str(board.reason_values["text"])
    return board.reason


def _folder(path: str) -> Markup:
    return Markup("<b>{}</b>").format(path)


def _date(at: str) -> Any:
    """The day on this machine's calendar; the page's script corrects it to the reader's."""
    try:
        return datetime.fromisoformat(at).astimezone().date()
    except ValueError:
        return None
