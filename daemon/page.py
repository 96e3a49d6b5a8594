"""The status page in the outbox, for everybody who only has the folder: status.json and status.html."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from daemon.hosts import Hosts
from daemon.settings import StatusSettings
from daemon.settle import Clock
from daemon.share import Share
from daemon.status import HTML_NAME, JSON_NAME, Board, now, replace_file

_ALIVE_S = 60.0  # the page is written at least this often, so that a reader can tell that it is stale


class StatusPage:
    """Writes this service's board and the page of all when something has changed, and not too often."""

    def __init__(self, share: Share, settings: StatusSettings, clock: Clock) -> None:
        self._outbox = share.outbox
        self._hosts = Hosts(share.hosts)
        self._settings = settings
        self._clock = clock
        self._content: dict[str, Any] | None = None
        self._stamps: dict[str, int] = {}
        self._looked_at = self._written_at = -_ALIVE_S

    def show(self, board: Board, *, at_once: bool = False) -> None:
        """Write what has changed, if it is time to.

        Raises:
            OSError: the share cannot be written.
        """
        now_s = self._clock()
        if now_s - self._looked_at < self._settings.interval_s and not at_once:
            return
        self._looked_at = now_s
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
        self._write(self._hosts.together(board, listed=self._settings.finished_listed), board.host)

    def _write(self, page: Board, writer: str) -> None:
        content = json.dumps(asdict(page), indent=1, ensure_ascii=False).encode()
        replace_file(self._outbox / JSON_NAME, content, writer)
        replace_file(self._outbox / HTML_NAME, _template().render(board=page).encode(), writer)


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("daemon"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["duration"] = _duration
    return environment.get_template("status.html.j2")


def _duration(seconds: int) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(seconds)) if seconds < 86400 else f"{seconds / 86400:.1f} days"
