"""Writes reports: of finished and failed jobs, and once more when delivery knows the final names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from pipeline.durable import write_durably


def write_report(path: Path, document: dict[str, Any]) -> None:
    """Write a report atomically and durably.

    Raises:
        DiskFullError, StorageError: it cannot be written.
        TypeError: it holds what JSON cannot.
    """
    write_durably(path, encode_report(document))


def encode_report(document: dict[str, Any]) -> bytes:
    """Return the content of a report file.

    Raises:
        TypeError: the document holds what JSON cannot.
    """
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def add_delivery(document: dict[str, Any], video: str, attempts: int | None = None) -> None:
    """Fill in what only delivery knows.

    Args:
        video: the final name of the video.
        attempts: of the whole job; None leaves those of the worker.

    Raises:
        KeyError, TypeError: the document is no report of a finished job.
    """
    document["output"]["path"] = video
    if attempts is not None:
        document["resilience"]["attempts"] = attempts
