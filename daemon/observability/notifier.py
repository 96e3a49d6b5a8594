"""Sending of alerts to people through Apprise (the extra ``notify``); off unless ``notify.urls`` is set.

A thread starts a program for each message and waits for it. A message that cannot be sent after a few attempts becomes
a warning in the journal.
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
from daemon.observability.alerts import Alert, AlertRules, AlertThrottle
from daemon.observability.events import Event
from daemon.remedies import remedy_of
from daemon.share.leases import host_name
from daemon.worker import subprocess_call

_QUEUED = 32  # alerts; the throttle passes only a few
_ATTEMPTS = 3
_BETWEEN_S = 15.0
_LOAD_S = 60.0  # to load Apprise, which is large
_END_S = 5.0
_TURN_S = 1.0
_REMEDY = (
    "Correct the URL in notify.urls (the number counts from 1), or look at the server that it names. Under systemd the"
    " service reaches no network until systemd/dualface-notify.conf is installed as a drop-in."
)

log = structlog.get_logger(__name__)


class AlertNotifier:
    """An event listener that sends alerts.

    Args:
        count: called for each alert with one of ``definitions.NOTIFICATION_RESULTS``.
    """

    def __init__(self, settings: Settings, count: Callable[[str], None]) -> None:
        self._settings = settings.notify
        self._urls = {str(number): url for number, url in enumerate(settings.notify.urls, start=1)}
        self._host = host_name(settings.leases)
        self._count = count
        self._rules = AlertRules(self._host)
        self._throttle = AlertThrottle(settings.notify.throttle_s, time.monotonic)
        self._queue: queue.Queue[Alert] = queue.Queue(_QUEUED)
        self._end = threading.Event()

    def __call__(self, event: Event) -> None:
        for alert in self._rules.alerts(event):
            if alert.kind not in self._settings.events:
                continue
            if self._throttle.passes(alert):
                self._enqueue(alert)
            else:
                self._count("held_back")
        for summary in self._throttle.summaries():
            self._enqueue(summary)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send until the context is left; queued alerts then get a few seconds."""
        thread = threading.Thread(target=self._run, name="notify", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._end.set()
            thread.join(_END_S)

    def _enqueue(self, alert: Alert) -> None:
        try:
            self._queue.put_nowait(alert)
        except queue.Full:
            self._count("dropped")

    def _run(self) -> None:
        self._check()
        while not (self._end.is_set() and self._queue.empty()):
            with suppress(queue.Empty):
                alert = self._queue.get(timeout=_TURN_S)
                self._count("sent" if self._send(alert) else "failed")

    def _check(self) -> None:
        """Log at the start which URLs cannot work, and drop URLs of an unknown kind."""
        with self._logged_errors():
            unusable = self._run_sender({}, self._urls)
            self._log_failures(unusable)
            self._urls = {number: url for number, url in self._urls.items() if number not in unusable}

    def _send(self, alert: Alert) -> bool:
        """Send to all URLs, each once; return whether all succeeded."""
        message = {"title": f"dualface on {self._host}: {alert.title}", "text": alert.text}
        left = self._urls
        with self._logged_errors():
            for attempt in range(_ATTEMPTS):
                if attempt and self._end.wait(_BETWEEN_S):
                    break
                failed = self._run_sender(message, left)
                left = {number: url for number, url in left.items() if number in failed}
                if not left:
                    return True
            self._log_failures(failed, notification=alert.title)
        return False

    def _run_sender(self, message: dict[str, str], urls: dict[str, str]) -> dict[str, str]:
        """Run the program that sends a message, or checks the URLs if the message is empty.

        Returns:
            The reasons of failures, by the number of the URL.

        Raises:
            AnsweredError: Apprise cannot be used.
            OSError: the program cannot be started.
        """
        timeout_s = self._settings.timeout_s
        order = json.dumps({**message, "urls": urls, "timeout_s": timeout_s}).encode()
        try:
            answer: dict[str, str] = subprocess_call.ask(
                "daemon.observability.apprise_sender", (), timeout_s=timeout_s + _LOAD_S, stdin=order
            )
        except subprocess_call.ChildFailedError as error:
            return dict.fromkeys(urls, error.message)
        return answer

    @contextmanager
    def _logged_errors(self) -> Iterator[None]:
        try:
            yield
        except subprocess_call.AnsweredError as error:
            log.warning("notifications cannot be sent", reason=error.message, remedy=remedy_of(error))
        except OSError as error:
            log.warning("notifications cannot be sent", reason=str(error), remedy="Free memory or processes.")

    def _log_failures(self, failed: dict[str, str], **about: str) -> None:
        for number, reason in failed.items():
            log.warning("notification not sent", url=int(number), reason=reason, remedy=_REMEDY, **about)
