"""Asks a program that may load codecs, models and drivers, which this process never does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from daemon.errors import DaemonError

_LAST_LINES = 5


class ChildFailedError(DaemonError):
    """The program ended without an answer: a driver or library took it down."""

    code = "CHILD_FAILED"
    remedy = "Run `dualface doctor`: it says which part of the device's software is missing."
    environmental = True


class AnsweredError(DaemonError):
    """What the program could not do, in its own words."""

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(told["message"], remedy=told["remedy"])
        self.code = told["code"]
        self.environmental = told["environmental"]


def ask(module: str, arguments: Sequence[str], *, timeout_s: float) -> Any:
    """Run ``python -m module arguments`` and return its result; see ``engines.child``.

    Raises:
        AnsweredError: it says that it cannot.
        ChildFailedError: it died, or took too long.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    try:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False, env=environment,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ChildFailedError(f"{module} gave no answer in {timeout_s:.0f} s") from error
    try:
        said = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError) as error:
        words = done.stderr.decode(errors="replace").strip().splitlines()[-_LAST_LINES:]
        raise ChildFailedError("\n  ".join([f"{module} ended with status {done.returncode}:", *words])) from error
    if "error" in said:
        raise AnsweredError(said["error"])
    return said["result"]
