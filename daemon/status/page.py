"""Writing of ``status.json`` and ``status.html`` in the outbox, for people who only have the folder."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import PurePath
from typing import Any

from markupsafe import Markup

from daemon.clock import Clock, utc_now
from daemon.config.settings import StatusSettings
from daemon.layout import FAILED_DIR, OUTBOX_DIR, STATUS_HTML, STATUS_JSON
from daemon.pages import facts, html
from daemon.pages.i18n import Translator, Word, languages
from daemon.share.share import Share
from daemon.status.model import HostLine, ServiceStatus
from daemon.status.store import HostFiles
from engines.files import replace_file

_REWRITE_S = 60.0  # the page is written at least this often, so that readers can recognise a stale one


class StatusPage:
    """Writes this service's status and the page of all services, when something has changed and not too often.

    Attributes:
        hosts: all services of the share, as last shown on the page.
    """

    def __init__(self, share: Share, settings: StatusSettings, clock: Clock) -> None:
        self._outbox = share.outbox
        self._hosts = HostFiles(share.hosts, share.jobs)
        self._clock = clock
        self.apply(settings)
        self._content: dict[str, Any] | None = None
        self._stamps: dict[str, int] = {}
        self._looked_at = self._written_at = -_REWRITE_S
        self.hosts: list[HostLine] = []

    def apply(self, settings: StatusSettings) -> None:
        """Use other settings from now on."""
        self._settings = settings
        self._speaker = Translator(languages(settings.language))

    @property
    def due(self) -> bool:
        """Whether the interval has passed since the last look for changes."""
        return self._clock() - self._looked_at >= self._settings.interval_s

    def show(self, status: ServiceStatus, *, at_once: bool = False) -> None:
        """Write what has changed, if it is due.

        Args:
            at_once: do not wait until it is due.

        Raises:
            OSError: the share cannot be written.
        """
        if not (at_once or self.due):
            return
        now_s = self._looked_at = self._clock()
        status.updated_at = ""
        changed = asdict(status) != self._content or now_s - self._written_at >= _REWRITE_S
        if not changed and self._hosts.stamps() == self._stamps:
            return
        content = asdict(status)
        status.updated_at = utc_now()
        if changed:
            self._hosts.write(status)
            self._content, self._written_at = content, now_s
        self._stamps = self._hosts.stamps()
        together = self._hosts.together(status, listed=self._settings.finished_listed)
        self.hosts = together.hosts
        self._write(together, status.host)

    def _write(self, page: ServiceStatus, writer: str) -> None:
        content = json.dumps(asdict(page), indent=1, ensure_ascii=False).encode()
        replace_file(self._outbox / STATUS_JSON, content, writer=writer)
        replace_file(self._outbox / STATUS_HTML, page_of(page, self._speaker), writer=writer)


def page_of(status: ServiceStatus, t: Translator) -> bytes:
    """Return the status page as HTML."""
    is_today = [_date(job.at) == _date(status.updated_at) for job in status.finished]
    return html.render(
        "status.html.j2",
        ("base.css", "status.css"),
        ("base.js", "status.js"),
        ("copy.js",),
        t=t,
        status=status,
        today=[job for job, today in zip(status.finished, is_today, strict=True) if today],
        earlier=[job for job, today in zip(status.finished, is_today, strict=True) if not today],
        waiting=status.queued + len(status.waiting),
        several=len(status.hosts) > 1,
        profiles=len({inbox.profile for inbox in status.inboxes}) > 1,
        inboxes=Markup(", ").join(_folder(inbox.path) for inbox in status.inboxes) or _folder("inbox"),
        failed_folder=_folder(FAILED_DIR),
        free_text=_free_text(status),
        state=Word(f"state.{status.state}"),
        title=_title(status, t),
        facts=lambda job: list(facts.statements(job.facts, job.verdict, t)),
        warned=lambda job: facts.warnings(job.facts, t),
        what=lambda code, message: t.error(code, "what", message),
        remedy=lambda code, text: t.error(code, "do", text),
        inside=lambda path: str(PurePath(path).relative_to(OUTBOX_DIR)),
    )


def _title(status: ServiceStatus, t: Translator) -> str:
    return f"{Word(f'state.{status.state}').text(t.languages[0])}: dualface"


def _free_text(status: ServiceStatus) -> str:
    """Return the person's or program's text about the state, which the catalogue cannot translate."""
    if "text" in status.reason_values:
        return str(status.reason_values["text"])
    return status.reason


def _folder(path: str) -> Markup:
    return Markup("<b>{}</b>").format(path)


def _date(at: str) -> Any:
    """Return the local date; the page's script converts it to the reader's time zone."""
    try:
        return datetime.fromisoformat(at).astimezone().date()
    except ValueError:
        return None
