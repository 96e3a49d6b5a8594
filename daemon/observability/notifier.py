"""Tells people through Apprise (the extra ``notify``) what they would want to know: off unless ``notify.urls`` is set.

Messages are sent by a program of its own, which a thread starts and waits for. Whatever becomes of them, the work
goes on: a message that cannot be delivered after a few attempts is a warning in the journal.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import structlog

from daemon.config.settings import Settings
from daemon.observability.alerts import Alert, AlertRules, Throttle
from daemon.observability.events import Event
from daemon.share.leases import host_name
from daemon.worker import subprocess_call as child

_WAITING = 32  # messages; the throttle lets only a few through
_ATTEMPTS = 3
_BETWEEN_S = 15.0
_START_S = 60.0  # for the program to load Apprise, which is large
_END_S = 5.0
_TURN_S = 1.0
_REMEDY = (
    "Correct the URL in notify.urls (the number counts from 1), or look at the server that it names. Under systemd the"
    " service reaches no network until systemd/dualface-notify.conf is installed as a drop-in."
)

log = structlog.get_logger(__name__)


class Announcer:
    """A listener of the service that sends messages.

    Args:
        count: called with "sent", "failed", "held_back" or "dropped" for each message.
    """

    def __init__(self, settings: Settings, count: Callable[[str], None]) -> None:
        self._settings = settings.notify
        self._urls = {str(number): url for number, url in enumerate(settings.notify.urls, start=1)}
        self._host = host_name(settings.leases)
        self._count = count
        self._reporter = AlertRules(self._host)
        self._throttle = Throttle(settings.notify.throttle_s, time.monotonic)
        self._queue: queue.Queue[Alert] = queue.Queue(_WAITING)
        self._end = threading.Event()

    def __call__(self, event: Event) -> None:
        for notice in self._reporter.notices(event):
            if notice.kind not in self._settings.events:
                continue
            if self._throttle.passes(notice):
                self._offer(notice)
            else:
                self._count("held_back")
        for summary in self._throttle.summaries():
            self._offer(summary)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send until the context is left; what waits then gets a few seconds."""
        thread = threading.Thread(target=self._run, name="announce", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._end.set()
            thread.join(_END_S)

    def _offer(self, notice: Alert) -> None:
        try:
            self._queue.put_nowait(notice)
        except queue.Full:
            self._count("dropped")

    def _run(self) -> None:
        self._check()
        while not (self._end.is_set() and self._queue.empty()):
            with suppress(queue.Empty):
                notice = self._queue.get(timeout=_TURN_S)
                self._count("sent" if self._send(notice) else "failed")

    def _check(self) -> None:
        """Say at once what cannot work; URLs of an unknown kind are left out."""
        with self._explained():
            unusable = self._ask({}, self._urls)
            self._complain(unusable)
            self._urls = {number: url for number, url in self._urls.items() if number not in unusable}

    def _send(self, notice: Alert) -> bool:
        """Try to reach all URLs; each gets the message once."""
        message = {"title": f"dualface on {self._host}: {notice.title}", "text": notice.text}
        left = self._urls
        with self._explained():
            for attempt in range(_ATTEMPTS):
                if attempt and self._end.wait(_BETWEEN_S):
                    break
                failed = self._ask(message, left)
                left = {number: url for number, url in left.items() if number in failed}
                if not left:
                    return True
            self._complain(failed, notification=notice.title)
        return False

    def _ask(self, message: dict[str, str], urls: dict[str, str]) -> dict[str, str]:
        """Let the messenger send a message, or only look at the URLs; returns what went wrong, by number.

        Raises:
            AnsweredError: it cannot work at all.
            OSError: it cannot be started.
        """
        timeout_s = self._settings.timeout_s
        order = json.dumps({**message, "urls": urls, "timeout_s": timeout_s}).encode()
        try:
            answer: dict[str, str] = child.ask(
                "daemon.observability.apprise_sender", (), timeout_s=timeout_s + _START_S, stdin=order
            )
        except child.ChildFailedError as error:
            return dict.fromkeys(urls, error.message)
        return answer

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except child.AnsweredError as error:
            log.warning("notifications cannot be sent", reason=error.message, remedy=error.remedy)
        except OSError as error:
            log.warning("notifications cannot be sent", reason=str(error), remedy="Free memory or processes.")

    def _complain(self, failed: dict[str, str], **about: str) -> None:
        for number, reason in failed.items():
            log.warning("notification not sent", url=int(number), reason=reason, remedy=_REMEDY, **about)
