"""The framework of ``dualface doctor``: a check is a registered function; its docstring is the meaning that users see.

Checks never change users' files. Code that loads codecs or drivers, or that may hang on a share, runs in a separate
program with a time limit (``daemon.worker.subprocess_call``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.errors import ConfigError
from daemon.remedies import doctor_hint, remedy_of
from engines.errors import ExplainedError
from engines.files import FULL
from pipeline.errors import DiskFullError

if TYPE_CHECKING:
    from daemon.diagnostics.checks.context import Context

SCHEMA = "dualface.doctor/1"
_WHEN_FULL = "Free space on the share, then check again."


class Verdict(StrEnum):
    """The result of a check. Only with FAILED the service cannot work."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes:
        summary: one sentence.
        remedy: what to do, "" if nothing.
        settings: recommended values by configuration key.
        facts: the measurements, for programs.
    """

    verdict: Verdict
    summary: str
    remedy: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


CheckFunction = Callable[["Context"], Finding]


@dataclass(frozen=True, slots=True)
class Check:
    """A registered check.

    Attributes:
        function: makes the finding; its docstring is the meaning.
        needs: the name of a check that must succeed first.
    """

    name: str
    function: CheckFunction
    needs: str | None = None

    @property
    def meaning(self) -> str:
        """What is checked, and why it matters."""
        return " ".join((self.function.__doc__ or "").split())


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one check."""

    name: str
    meaning: str
    finding: Finding
    seconds: float

    def as_document(self) -> dict[str, Any]:
        """Return the result for ``--json``."""
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
    remedy = "`dualface doctor --list` shows the names; a common first part, such as share, selects all of them."


CHECKS: dict[str, Check] = {}


def check(name: str, *, needs: str | None = None) -> Callable[[CheckFunction], CheckFunction]:
    """Register a function as the check of that name. Checks run in the order of registration."""

    def register(function: CheckFunction) -> CheckFunction:
        CHECKS[name] = Check(name, function, needs)
        return function

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
    """Return the checks of these names or groups ("share"), or all checks if none is named.

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
    """Run checks, each after the checks that it needs.

    Yields:
        The results of ``checks``, and failures of checks that they need.
    """
    done: dict[str, Result] = {}
    wanted = {chosen.name for chosen in checks}
    for chosen in checks:
        for step in _with_needs(chosen):
            if step.name not in done:
                done[step.name] = result = _run(step, done, context)
                if step.name in wanted or result.finding.verdict is Verdict.FAILED:
                    yield result


def _with_needs(chosen: Check) -> list[Check]:
    return [*(_with_needs(CHECKS[chosen.needs]) if chosen.needs else []), chosen]


def _run(chosen: Check, done: dict[str, Result], context: Context) -> Result:
    begin = time.monotonic()
    needed = done.get(chosen.needs or "")
    if needed and needed.finding.verdict in (Verdict.FAILED, Verdict.NOT_APPLICABLE):
        finding = not_applicable(f"See {chosen.needs}.")
    else:
        finding = _finding(chosen, context)
    return Result(chosen.name, chosen.meaning, finding, time.monotonic() - begin)


def _finding(chosen: Check, context: Context) -> Finding:
    try:
        return chosen.function(context)
    except ExplainedError as exc:
        if exc.code == DiskFullError.code:  # also from another program
            return warning(exc.message, _WHEN_FULL)
        return failed(exc.message, remedy_of(exc).removesuffix(f" {doctor_hint(chosen.name)}"))
    except OSError as exc:
        if exc.errno in FULL:
            return warning(f"This cannot be checked: {exc.strerror}.", _WHEN_FULL)
        return failed(f"{exc.strerror}: {exc.filename}", "Check whether the service's user can read this path.")


def document(results: Sequence[Result], context: Context) -> dict[str, Any]:
    """Return all results for ``--json``."""
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
