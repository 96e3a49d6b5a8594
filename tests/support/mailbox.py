"""A real HTTP server on this machine that takes what Apprise sends to json:// URLs, or misbehaves."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Mailbox:
    """Collects messages. ``status`` is what it answers; while ``hangs`` it takes a message and never answers."""

    def __init__(self, *, status: int = 200, hangs: bool = False) -> None:
        self.messages: list[dict[str, Any]] = []
        self.attempts = 0
        self.status = status
        self._answers = threading.Event()
        if not hangs:
            self._answers.set()
        mailbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                mailbox.attempts += 1
                mailbox._answers.wait()
                if mailbox.status == 200:
                    mailbox.messages.append(body)
                self.send_response(mailbox.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self._server.server_port}"

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.messages]

    @contextmanager
    def open(self) -> Iterator[Mailbox]:
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._answers.set()
            self._server.shutdown()
            self._server.server_close()
