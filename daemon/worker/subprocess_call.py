"""Asks a program that may load codecs, models and drivers, which this process never does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from daemon.errors import DaemonError

_LAST_LINES = 5


class ChildFailedError(DaemonError):
    """The program ended without an answer: a driver or library took it down."""

    code = "CHILD_FAILED"
    remedy = "A library or driver took the program down: repair or update it."
    doctor_check = "backend"
    environmental = True


class AnsweredError(DaemonError):
    """What the program could not do, in its own words."""

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(told["message"], remedy=told["remedy"])
        self.code = told["code"]
        self.environmental = told["environmental"]


@dataclass(frozen=True, slots=True)
class Account:
    """A user that a program runs as; only root can choose another.

    Attributes:
        environment: what this user's programs have otherwise than ours.
    """

    uid: int
    gid: int
    groups: tuple[int, ...]
    umask: int
    environment: dict[str, str]


def ask(
    module: str, arguments: Sequence[str], *, timeout_s: float, account: Account | None = None, given: bytes = b""
) -> Any:
    """Run ``python -m module arguments`` and return its result; see ``engines.json_answer``.

    Args:
        given: what it reads on its standard input, where nobody else sees it.

    Raises:
        AnsweredError: it says that it cannot.
        ChildFailedError: it died, or took too long.
    """
    environment = {**os.environ, **(account.environment if account else {})}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    child = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
        **_as_user(account),
    )  # fmt: skip
    out, err = _finish(child, module, timeout_s, given)
    try:
        said = json.loads(out.splitlines()[-1])
    except (IndexError, ValueError) as error:
        words = err.decode(errors="replace").strip().splitlines()[-_LAST_LINES:]
        raise ChildFailedError("\n  ".join([f"{module} ended with status {child.returncode}:", *words])) from error
    if "error" in said:
        raise AnsweredError(said["error"])
    return said["result"]


def _as_user(account: Account | None) -> dict[str, Any]:
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": account.groups, "umask": account.umask}


def _finish(child: subprocess.Popen[bytes], module: str, timeout_s: float, given: bytes) -> tuple[bytes, bytes]:
    """What it printed. One that hangs in the kernel cannot be killed: it is not waited for."""
    try:
        return child.communicate(given, timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        child.kill()
        raise ChildFailedError(f"{module} gave no answer in {timeout_s:.0f} s") from error
    except BaseException:
        child.kill()
        raise
