"""The answer of a helper program: one line of JSON on stdout, everything else on stderr."""

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
    """Do the work, print ``{"result": ...}`` or ``{"error": ExplainedError.to_json()}``, and exit."""
    out = os.dup(1)
    os.dup2(2, 1)  # what libraries print must not mix with the answer
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        line = {"result": work()}
    except ExplainedError as error:
        line = {"error": error.to_json()}
    with os.fdopen(out, "w", encoding="utf-8") as pipe:
        pipe.write(json.dumps(line) + "\n")
    os._exit(0)  # no teardown: native threads of codecs and drivers may hang in it
