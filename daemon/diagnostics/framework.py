"""Checks of everything that the service needs. One check is one small function with a name; its docstring says why.

Checks never change anything that belongs to users, and none takes longer than its measurement may. What loads codecs
or drivers, or may hang on a share, runs in a program of its own (``daemon.worker.subprocess_call``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.errors import ConfigError
from engines.errors import ExplainedError, doctor_hint
from engines.files import FULL
from pipeline.errors import DiskFullError

if TYPE_CHECKING:
    from daemon.diagnostics.checks.context import Context

SCHEMA = "dualface.doctor/1"
_WHEN_FULL = "Free space on the share, then look again."


class Verdict(StrEnum):
    """How a check ended. Only FAILED keeps the service from working."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes:
        summary: one sentence.
        remedy: what to do; "" where nothing is to be done.
        settings: configuration keys and the values that follow from what was found.
        facts: what was measured, for programs.
    """

    verdict: Verdict
    summary: str
    remedy: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


Look = Callable[["Context"], Finding]


@dataclass(frozen=True, slots=True)
class Check:
    """A check by its name. ``needs`` names one without whose success this one says nothing."""

    name: str
    look: Look
    needs: str | None = None

    @property
    def meaning(self) -> str:
        """What it is about and why that matters."""
        return " ".join((self.look.__doc__ or "").split())


@dataclass(frozen=True, slots=True)
class Result:
    """A check and what it found."""

    name: str
    meaning: str
    finding: Finding
    seconds: float

    def as_document(self) -> dict[str, Any]:
        """For ``--json``."""
        found = asdict(self.finding)
        return {
            "name": self.name,
            "result": found.pop("verdict").value,
            **found,
            "meaning": self.meaning,
            "seconds": round(self.seconds, 2),
        }


class UnknownCheckError(ConfigError):
    code = "UNKNOWN_CHECK"
    remedy = "`dualface doctor --list` shows the names; the first part of some, such as share, stands for all of them."


CHECKS: dict[str, Check] = {}


def check(name: str, *, needs: str | None = None) -> Callable[[Look], Look]:
    """Register a function as the check of that name; in the order of definition they are done."""

    def register(look: Look) -> Look:
        CHECKS[name] = Check(name, look, needs)
        return look

    return register


def ok(summary: str, **more: Any) -> Finding:
    return Finding(Verdict.OK, summary, **more)


def warning(summary: str, remedy: str, **more: Any) -> Finding:
    return Finding(Verdict.WARNING, summary, remedy, **more)


def failed(summary: str, remedy: str, **more: Any) -> Finding:
    return Finding(Verdict.FAILED, summary, remedy, **more)


def not_applicable(summary: str, **more: Any) -> Finding:
    return Finding(Verdict.NOT_APPLICABLE, summary, **more)


def select(names: Sequence[str]) -> list[Check]:
    """The checks of these names, or of groups of them ("share"); all where none is named.

    Raises:
        UnknownCheckError: there is no such check.
    """
    for name in names:
        if not _named(name):
            raise UnknownCheckError(f"There is no check '{name}'")
    wanted = {found.name for name in names for found in _named(name)}
    return [found for found in CHECKS.values() if not names or found.name in wanted]


def _named(name: str) -> list[Check]:
    return [found for found in CHECKS.values() if found.name == name or found.name.startswith(f"{name}-")]


def examine(checks: Sequence[Check], context: Context) -> Iterator[Result]:
    """Do the checks one by one. What one needs is done before it, and shown if it was asked for or is in the way."""
    done: dict[str, Result] = {}
    wanted = {chosen.name for chosen in checks}
    for chosen in checks:
        for step in _with_needs(chosen):
            if step.name not in done:
                done[step.name] = result = _do(step, done, context)
                if step.name in wanted or result.finding.verdict is Verdict.FAILED:
                    yield result


def _with_needs(chosen: Check) -> list[Check]:
    return [*(_with_needs(CHECKS[chosen.needs]) if chosen.needs else []), chosen]


def _do(chosen: Check, done: dict[str, Result], context: Context) -> Result:
    begin = time.monotonic()
    needed = done.get(chosen.needs or "")
    if needed and needed.finding.verdict in (Verdict.FAILED, Verdict.NOT_APPLICABLE):
        finding = not_applicable(f"See {chosen.needs}.")
    else:
        finding = _look(chosen, context)
    return Result(chosen.name, chosen.meaning, finding, time.monotonic() - begin)


def _look(chosen: Check, context: Context) -> Finding:
    try:
        return chosen.look(context)
    except ExplainedError as exc:
        if exc.code == DiskFullError.code:  # also as another program told it
            return warning(exc.message, _WHEN_FULL)
        return failed(exc.message, exc.remedy.removesuffix(f" {doctor_hint(chosen.name)}"))
    except OSError as exc:
        if exc.errno in FULL:
            return warning(f"This cannot be tried: {exc.strerror}.", _WHEN_FULL)
        return failed(f"{exc.strerror}: {exc.filename}", "See whether this path can be read by the service's user.")


def document(results: Sequence[Result], context: Context) -> dict[str, Any]:
    """The whole examination for ``--json``."""
    verdicts = [result.finding.verdict for result in results]
    settings = {key: value for result in results for key, value in result.finding.settings.items()}
    return {
        "schema": SCHEMA,
        "works": Verdict.FAILED not in verdicts,
        "host": context.host,
        "user": context.user,
        "config": None if context.config is None else str(Path(context.config)),
        "share": str(context.settings.share.root),
        "counts": {verdict.value: verdicts.count(verdict) for verdict in Verdict},
        "settings": settings,
        "checks": [result.as_document() for result in results],
    }
