"""Writes to systemd's journal in its native protocol, so that lines can be filtered by field: ``journalctl JOB=...``.

Source: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/ and systemd.exec(5) on ``$JOURNAL_STREAM``.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from structlog.typing import EventDict, Processor, WrappedLogger

SOCKET = Path("/run/systemd/journal/socket")
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
_LONGEST_NAME, _MOST_BYTES = 64, 16_384
_OWN = {"MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "LEVEL", "TIMESTAMP"}  # set elsewhere, or by the journal


def is_journal(stream: TextIO) -> bool:
    """Whether the stream leads to the journal."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def encode(fields: Mapping[str, str]) -> bytes:
    """Return one entry. A value of several lines is preceded by its length in 64 bits, little-endian."""
    parts = []
    for name, value in fields.items():
        raw = value.encode("utf-8", "replace")[:_MOST_BYTES]
        simple = b"\n" not in raw
        body = b"=" + raw if simple else b"\n" + len(raw).to_bytes(8, "little") + raw
        parts.append(name.encode("ascii") + body + b"\n")
    return b"".join(parts)


def field_name(key: str) -> str:
    """Return a key as a field name of the journal: capitals, digits and underscores; "" if nothing remains."""
    return re.sub(r"[^A-Z0-9_]", "_", key.upper()).lstrip("_0123456789")[:_LONGEST_NAME]


class JournalLogger:
    """A structlog logger that writes to the journal with fields, or as text to the stream if that fails."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def msg(self, message: str, fields: Mapping[str, str]) -> None:
        """Write one entry."""
        try:
            self._socket.sendto(encode({"MESSAGE": message, **fields}), str(SOCKET))
        except OSError:  # the journal restarts, or the entry is too long for it
            self._stream.write(f"{message}\n")
            self._stream.flush()

    log = debug = info = warning = error = critical = exception = msg


def with_fields(render: Processor) -> Processor:
    """Return the last processor of the chain: the line as ``render`` writes it, and each key as a field."""

    def arguments(logger: WrappedLogger, method: str, event: EventDict) -> tuple[tuple[str], dict[str, dict[str, str]]]:
        fields = {
            "PRIORITY": str(_PRIORITIES.get(event.get("level", "info"), 6)),
            "SYSLOG_IDENTIFIER": "dualface",
            **{name: str(value) for key, value in event.items() if (name := field_name(key)) and name not in _OWN},
        }
        return (str(render(logger, method, event)),), {"fields": fields}

    return arguments
