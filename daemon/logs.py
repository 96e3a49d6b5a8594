"""Configures the logs of service, workers and commands: JSON lines with fields, coloured lines on a terminal."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from typing import Any, Protocol, TextIO

import structlog
from structlog.typing import Processor

from daemon.journal import JournalLogger, is_journal, with_fields

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

_OURS = {"timestamp", "self", "exc_info", "stack_info"}  # keys that a relayed line must not set

_JSON: list[Processor] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


class LogOptions(Protocol):
    """The settings of the log (``log`` in the configuration)."""

    @property
    def level(self) -> str: ...

    @property
    def format(self) -> str: ...


def configure(settings: LogOptions) -> None:
    """Set up the service's own log on standard error, or in the journal if standard error leads there."""
    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    if is_journal(sys.stderr):
        plain = structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0)
        line: Processor = plain if console else structlog.processors.JSONRenderer()
        _configure(settings.level, [structlog.processors.format_exc_info, with_fields(line)], JournalLogger)
    elif console:
        _configure(settings.level, [structlog.dev.ConsoleRenderer()])
    else:
        _configure(settings.level, _JSON)


def configure_command(level: str = "warning") -> None:
    """Set up the log of a command that people type, on standard error."""
    _configure(level, [structlog.dev.ConsoleRenderer()])


def configure_worker(level: str, **context: str) -> None:
    """Set up a worker's log: always JSON, because the service parses it and writes it in its own format."""
    _configure(level, _JSON)
    structlog.contextvars.bind_contextvars(**context)


def relay(log: structlog.stdlib.BoundLogger, line: str) -> bool:
    """Write a line of a worker's output: a log line with its level and fields, other output at debug level.

    Returns:
        Whether it was a log line.
    """
    try:
        body: dict[str, Any] = json.loads(line)
        event, level = str(body.pop("event")), _LEVELS.get(body.pop("level", "info"), logging.INFO)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        log.debug("worker printed", text=line.strip()[:500])
        return False
    log.log(level, event, **{key: value for key, value in body.items() if key not in _OURS})
    return True


def _configure(level: str, last: list[Processor], logger: Callable[[TextIO], Any] = structlog.PrintLogger) -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: logger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [*(handler for handler in root.handlers if not isinstance(handler, _Libraries)), _Libraries()]


class _Libraries(logging.Handler):
    """Writes the log records of libraries in our format, at debug level."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger(__name__).debug("library says", library=record.name, text=record.getMessage()[:500])
