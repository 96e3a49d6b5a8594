"""Shows the metrics: over HTTP to Prometheus itself, and as a file that node_exporter picks up.

It happens in threads of its own. What cannot be shown is said once, with a remedy, and tried again: the work goes
on without it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from wsgiref.simple_server import WSGIServer

import structlog
from prometheus_client import CollectorRegistry, generate_latest, start_http_server

from daemon.config.settings import MetricsSettings
from daemon.observability.registry import Meters
from engines.files import replace_file

_TURN_S = 1.0
_TRY_AGAIN_S = 30.0
_END_S = 3.0
_FOR_ALL = 0o644  # node_exporter runs as another user

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Way:
    """One way of showing the metrics: tried until it works, then again every ``every_s`` if that is not None."""

    name: str
    where: str
    remedy: str
    show: Callable[[], None]
    every_s: float | None
    due_at: float = 0.0
    works: bool = False
    trouble: str = ""

    def advance(self) -> None:
        """Show the metrics if it is time to; trouble that is new is logged."""
        if time.monotonic() < self.due_at:
            return
        try:
            self.show()
        except OSError as error:
            self._complain(error.strerror or str(error))
            self.due_at = time.monotonic() + _TRY_AGAIN_S
        else:
            if not self.works:
                log.info("metrics are shown", by=self.name, where=self.where)
            self.works, self.trouble = True, ""
            self.due_at = time.monotonic() + (self.every_s or float("inf"))

    def _complain(self, reason: str) -> None:
        if reason != self.trouble:
            where = {"by": self.name, "where": self.where}
            log.warning("metrics cannot be shown", **where, reason=reason, remedy=self.remedy)
        self.works, self.trouble = False, reason


class Exporter:
    """Serves and writes the meters, as the settings ask."""

    def __init__(self, settings: MetricsSettings, meters: Meters) -> None:
        self._settings = settings
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(meters)
        self._server: WSGIServer | None = None
        self._end = threading.Event()
        self._http = _Way(
            name="http",
            where=f"{settings.address}:{settings.port}",
            remedy="Choose a free metrics.port (`ss -ltnp` shows who has it). Under systemd see docs/metrics.md.",
            show=self._serve,
            every_s=None,
        )
        self._file = _Way(
            name="textfile",
            where=settings.textfile,
            remedy="Make the folder, and let the service's user write there. Under systemd see docs/metrics.md.",
            show=self._write,
            every_s=settings.interval_s,
        )

    @property
    def wanted(self) -> bool:
        return self._settings.http or bool(self._settings.textfile)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Export until the context is left; the last state is written then."""
        thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._end.set()
            thread.join(_END_S)  # a disk that hangs must not hold up the end

    def _run(self) -> None:
        ways = [way for way, on in ((self._http, self._settings.http), (self._file, self._settings.textfile)) if on]
        while not self._end.is_set():
            for way in ways:
                way.advance()
            self._end.wait(_TURN_S)
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        if self._file in ways and not self._file.trouble:
            self._file.due_at = 0.0
            self._file.advance()

    def _serve(self) -> None:
        self._server, _ = start_http_server(self._settings.port, self._settings.address, self._registry)

    def _write(self) -> None:
        replace_file(Path(self._settings.textfile), generate_latest(self._registry), writer="dualface", mode=_FOR_ALL)
