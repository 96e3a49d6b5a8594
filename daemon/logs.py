"""What the service and its workers write: JSON lines for the journal, coloured lines for a terminal."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import structlog
from structlog.typing import Processor

from daemon.settings import LogSettings

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure(settings: LogSettings) -> None:
    """Set up the service's own log on standard error."""
    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    renderer: Processor = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    shared: list[Processor] = [] if console else [structlog.processors.format_exc_info]
    _configure(settings.level, [*shared, renderer])


def configure_worker(level: str, **context: str) -> None:
    """Set up a worker's log: always JSON, because the service reads it and writes it in its own form."""
    _configure(level, [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()])
    structlog.contextvars.bind_contextvars(**context)


def relay(log: structlog.stdlib.BoundLogger, line: str) -> bool:
    """Write what a worker wrote: its own log lines as they are, a library's print-outs at debug level.

    Returns:
        Whether it was a log line.
    """
    try:
        body: dict[str, Any] = json.loads(line)
        event, level = str(body.pop("event")), _LEVELS.get(body.pop("level", "info"), logging.INFO)
    except (ValueError, KeyError, TypeError, AttributeError):
        log.debug("worker printed", text=line.strip()[:500])
        return False
    body.pop("timestamp", None)
    log.log(level, event, **body)
    return True


def _configure(level: str, last: list[Processor]) -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
