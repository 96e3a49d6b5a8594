"""A program that works for a command answers in JSON: one line on stdout, everything else on stderr."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from typing import Any

import structlog

from engines.errors import ExplainedError


def answer(work: Callable[[], Any]) -> None:
    """Do the work, print ``{"result": ...}`` or ``{"error": {code, message, remedy, environmental}}``, and end."""
    out = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints must not look like the answer
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        said = {"result": work()}
    except ExplainedError as error:
        said = {"error": _told(error)}
    with os.fdopen(out, "w", encoding="utf-8") as pipe:
        pipe.write(json.dumps(said) + "\n")
    os._exit(0)  # no teardown: native threads of codecs and drivers may hang in it


def _told(error: ExplainedError) -> dict[str, Any]:
    return {
        "code": error.code,
        "message": error.message,
        "remedy": error.remedy,
        "environmental": error.environmental,
    }
