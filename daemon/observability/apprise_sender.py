"""A program that sends one message through Apprise. A hanging server or a faulty plugin cannot reach the service.

``python -m daemon.observability.apprise_sender`` reads ``{urls, title, text, timeout_s}`` as JSON from its standard
input, so that other users cannot see the passwords in the URLs. It answers with the failures by the number of the URL.
Without a title it only checks whether the URLs can be used.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

from daemon.errors import DaemonError
from daemon.worker import sandbox
from engines.json_answer import answer

_NO_URL = "Apprise does not know this kind of URL"  # its own words would repeat the URL with its passwords


class AppriseMissingError(DaemonError):
    code = "APPRISE_MISSING"
    remedy = f"Install it: {sys.executable} -m pip install 'apprise>=1.9,<3'. Or remove notify.urls."
    doctor_check = "notifications"
    environmental = True


class _Reasons(logging.Handler):
    """Collects the warnings of Apprise by thread; they name hosts, never passwords."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: dict[int, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        self.messages[record.thread or 0] = record.getMessage()


def deliver(order: dict[str, Any]) -> dict[str, str]:
    """Send the message to all URLs at the same time.

    Returns:
        The reasons of failures, by the number of the URL.

    Raises:
        AppriseMissingError: the package is not installed.
    """
    try:
        apprise = importlib.import_module("apprise")
    except ImportError as error:
        raise AppriseMissingError(f"Apprise cannot be loaded: {error}") from error
    reasons = _Reasons()
    logger = logging.getLogger("apprise")
    logger.addHandler(reasons)
    logger.propagate = False
    services = {number: apprise.Apprise.instantiate(url) for number, url in order["urls"].items()}
    usable = {number: service for number, service in services.items() if service is not None}
    failed = {number: _NO_URL for number in services if number not in usable}
    return failed | _sent(usable, order, reasons) if "title" in order else failed


def _sent(services: dict[str, Any], order: dict[str, Any], reasons: _Reasons) -> dict[str, str]:
    def send(service: Any) -> str:
        # Longer than the wait below, so that the wait decides when a message is late.
        service.socket_connect_timeout = service.socket_read_timeout = 2 * order["timeout_s"]
        try:
            done = service.notify(title=order["title"], body=order["text"], body_format="text")
        except Exception as error:  # any plugin may raise anything
            return f"{type(error).__name__}: {error}"
        return "" if done else reasons.messages.get(threading.get_ident(), "the service refused it")

    pool = ThreadPoolExecutor(max(1, len(services)))
    pending = {number: pool.submit(send, service) for number, service in services.items()}
    wait(pending.values(), timeout=order["timeout_s"])
    ended = {number: each.result() if each.done() else "no answer in time" for number, each in pending.items()}
    return {number: reason for number, reason in ended.items() if reason}


def main() -> None:
    """Answer the order on standard input."""
    sandbox.die_with(os.getppid())
    order = json.load(sys.stdin)
    answer(lambda: deliver(order))


if __name__ == "__main__":
    main()
