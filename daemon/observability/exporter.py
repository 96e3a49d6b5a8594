"""Export of the metrics: over HTTP to Prometheus, and as a file for node_exporter's textfile collector.

It runs in threads of its own. A failure is logged once with a remedy, and the export is tried again.
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
from daemon.observability.registry import MetricsRegistry
from engines.files import replace_file

_TURN_S = 1.0
_TRY_AGAIN_S = 30.0
_END_S = 3.0
_FOR_ALL = 0o644  # node_exporter runs as another user

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Output:
    """One way to export the metrics.

    Attributes:
        show: exports them; raises OSError.
        every_s: seconds between two exports; None to stop after the first success.
    """

    name: str
    where: str
    remedy: str
    show: Callable[[], None]
    every_s: float | None
    due_at: float = 0.0
    works: bool = False
    failure: str = ""

    def advance(self) -> None:
        """Export the metrics if it is due; log a new failure."""
        if time.monotonic() < self.due_at:
            return
        try:
            self.show()
        except OSError as error:
            self._log_failure(error.strerror or str(error))
            self.due_at = time.monotonic() + _TRY_AGAIN_S
        else:
            if not self.works:
                log.info("metrics are shown", by=self.name, where=self.where)
            self.works, self.failure = True, ""
            self.due_at = time.monotonic() + (self.every_s or float("inf"))

    def _log_failure(self, reason: str) -> None:
        if reason != self.failure:
            where = {"by": self.name, "where": self.where}
            log.warning("metrics cannot be shown", **where, reason=reason, remedy=self.remedy)
        self.works, self.failure = False, reason


class MetricsExporter:
    """Serves and writes the metrics, as configured."""

    def __init__(self, settings: MetricsSettings, metrics: MetricsRegistry) -> None:
        self._settings = settings
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(metrics)
        self._server: WSGIServer | None = None
        self._end = threading.Event()
        self._http = _Output(
            name="http",
            where=f"{settings.address}:{settings.port}",
            remedy="Choose a free metrics.port (`ss -ltnp` shows who has it). Under systemd see docs/metrics.md.",
            show=self._serve,
            every_s=None,
        )
        self._file = _Output(
            name="textfile",
            where=settings.textfile,
            remedy="Make the folder, and let the service's user write there. Under systemd see docs/metrics.md.",
            show=self._write,
            every_s=settings.interval_s,
        )

    @property
    def wanted(self) -> bool:
        """Whether any export is configured."""
        return self._settings.http or bool(self._settings.textfile)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Export until the context is left; then write the final values."""
        thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._end.set()
            thread.join(_END_S)  # a hanging disk must not delay the end

    def _run(self) -> None:
        outputs = [out for out, on in ((self._http, self._settings.http), (self._file, self._settings.textfile)) if on]
        while not self._end.is_set():
            for output in outputs:
                output.advance()
            self._end.wait(_TURN_S)
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        if self._file in outputs and not self._file.failure:
            self._file.due_at = 0.0
            self._file.advance()

    def _serve(self) -> None:
        self._server, _ = start_http_server(self._settings.port, self._settings.address, self._registry)

    def _write(self) -> None:
        replace_file(Path(self._settings.textfile), generate_latest(self._registry), writer="dualface", mode=_FOR_ALL)
