"""Runs a helper program that may load codecs, models and drivers, which this process never does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from daemon.errors import DaemonError
from engines.errors import Component

_LAST_LINES = 5


class ChildFailedError(DaemonError):
    """The program ended without an answer, because a driver or library crashed."""

    code = "CHILD_FAILED"
    remedy = "A library or driver made the program crash: repair or update it."
    doctor_check = "backend"
    environmental = True


class AnsweredError(DaemonError):
    """The error that the program answered with."""

    def __init__(self, answer: dict[str, Any]) -> None:
        component = Component(answer["component"]) if answer["component"] else None
        check = answer.get("doctor_check")
        super().__init__(answer["message"], remedy=answer["remedy"], component=component, doctor_check=check)
        self.code = answer["code"]
        self.environmental = answer["environmental"]


@dataclass(frozen=True, slots=True)
class Account:
    """The user that a program runs as; only root can choose another.

    Attributes:
        environment: the variables that differ from ours.
    """

    uid: int
    gid: int
    groups: tuple[int, ...]
    umask: int
    environment: dict[str, str]


def ask(
    module: str, arguments: Sequence[str], *, timeout_s: float, account: Account | None = None, stdin: bytes = b""
) -> Any:
    """Run ``python -m module arguments`` and return its result; see ``engines.json_answer``.

    Args:
        stdin: its standard input, which other users cannot see, in contrast to the arguments.

    Raises:
        AnsweredError: it answered with an error.
        ChildFailedError: it crashed, or took too long.
    """
    environment = {**os.environ, **(account.environment if account else {})}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    child = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
        **_as_user(account),
    )  # fmt: skip
    out, err = _finish(child, module, timeout_s, stdin)
    try:
        answer = json.loads(out.splitlines()[-1])
    except (IndexError, ValueError) as error:
        last_lines = err.decode(errors="replace").strip().splitlines()[-_LAST_LINES:]
        raise ChildFailedError("\n  ".join([f"{module} ended with status {child.returncode}:", *last_lines])) from error
    if "error" in answer:
        raise AnsweredError(answer["error"])
    return answer["result"]


def _as_user(account: Account | None) -> dict[str, Any]:
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": account.groups, "umask": account.umask}


def _finish(child: subprocess.Popen[bytes], module: str, timeout_s: float, stdin: bytes) -> tuple[bytes, bytes]:
    """Return what it printed. A process that hangs in the kernel cannot be killed, so nothing waits for its end."""
    try:
        return child.communicate(stdin, timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        child.kill()
        raise ChildFailedError(f"{module} gave no answer in {timeout_s:.0f} s") from error
    except BaseException:
        child.kill()
        raise
