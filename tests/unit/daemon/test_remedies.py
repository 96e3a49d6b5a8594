"""What the service adds to remedies, and that it reaches every reader."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import daemon
import engines
import pipeline
from daemon.config import catalog
from daemon.diagnostics.framework import select
from daemon.errors import BackendUnusableError
from daemon.remedies import _CHECKS, _SETTINGS, check_of, doctor_hint, explained, log_fields, remedy_of
from daemon.worker.protocol import Failed
from daemon.worker.subprocess_call import AnsweredError, ChildFailedError
from engines.errors import Component, DeviceUnavailableError, ExplainedError, ModelUnavailableError, NoSuchGPUError
from tests.support.errors import error_classes

# Errors of commands have remedies for the person who ran the command; the service raises none of them.
_COMMANDS = {
    "daemon.cli.app",
    "daemon.config.edit",
    "daemon.cli.control",
    "daemon.diagnostics.probe",
    "daemon.share.reach",
}
_CONFIGURED = {"ProfileGoneError"}  # somebody has to change the configuration
_NEED_MORE = {"InvalidConfigError", "AnsweredError"}  # are not made from a message
_REMEDY_IS_FINAL = {  # what has a remedy and is no error, by the names of variables
    "self", "finding", "failure", "job", "held", "words", "advised",
}  # fmt: skip

ERRORS = [kind for kind in error_classes() if kind.__name__ not in _NEED_MORE]
NAMES = [kind.__name__ for kind in ERRORS]


def is_for_doctor(kind: type[ExplainedError]) -> bool:
    """Whether the machine, the share or the installation is the matter."""
    nothing = kind.remedy.startswith("Nothing to do:")
    return not (nothing or kind.__module__ in _COMMANDS or kind.__name__ in _CONFIGURED)


def test_every_error_of_the_environment_names_a_check() -> None:
    environmental = [kind("something happened") for kind in ERRORS if kind.environmental]
    found = [error for error in environmental if check_of(error) or is_for_doctor(type(error))]
    assert len(found) > 15
    for error in found:
        assert check_of(error), f"{type(error).__name__} names no check"
        assert select([check_of(error)])
        assert remedy_of(error).endswith(f" More: `dualface doctor --only {check_of(error)}`.")


def test_every_component_has_a_check() -> None:
    assert set(_CHECKS) == set(Component)
    for check in _CHECKS.values():
        assert [found.name for found in select([check])], check


def test_a_remedy_names_one_check_only() -> None:
    inner = remedy_of(ModelUnavailableError("inside"))
    remedy = remedy_of(BackendUnusableError("wrapped", remedy=inner))
    assert remedy == inner
    assert remedy.count("dualface doctor") == 1
    assert "--only models" in remedy


@pytest.mark.parametrize("key", sorted(_SETTINGS), ids=str)
def test_the_settings_that_help_exist(key: tuple[str, Component]) -> None:
    code, component = key
    assert code in {kind.code for kind in ERRORS}
    named = re.findall(r"\b[a-z]+\.[a-z_]+\b", _SETTINGS[key])
    assert all(catalog.find(name.split(".")) for name in named), named
    error = ExplainedError("It happened.", remedy="Do this.", component=component)
    assert _SETTINGS[key] not in remedy_of(error)
    error.code = code
    assert remedy_of(error) == f"Do this. {_SETTINGS[key]} {doctor_hint(_CHECKS[component])}"


def raised_with_component() -> Iterator[tuple[str, Component]]:
    """Yield code and component of the errors in engines that name another component than their class."""
    codes = {kind.__name__: kind.code for kind in ERRORS}
    for path in Path(engines.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and (kind := ast.unparse(node.func)) in codes:
                names = [ast.unparse(word.value) for word in node.keywords if word.arg == "component"]
                yield from (
                    (codes[kind], Component[name.removeprefix("Component.")])
                    for name in names
                    if name.startswith("Component.")
                )


def test_every_setting_is_shown_for_some_error() -> None:
    shown = {(kind.code, kind.component) for kind in ERRORS} | set(raised_with_component())
    assert set(_SETTINGS) <= shown


@pytest.mark.parametrize("kind", ERRORS, ids=NAMES)
def test_a_message_from_a_worker_has_the_whole_remedy(kind: type[ExplainedError]) -> None:
    error = kind("It happened.")
    failed = Failed.of(error)
    assert failed.remedy == failed.for_report().remedy == remedy_of(failed.error()) == remedy_of(error)


@pytest.mark.parametrize("kind", ERRORS, ids=NAMES)
def test_the_answer_of_a_helper_program_has_the_whole_remedy(kind: type[ExplainedError]) -> None:
    error = kind("It happened.")
    answered = AnsweredError(json.loads(json.dumps(error.to_json())))
    assert (answered.code, answered.message, answered.environmental) == (error.code, error.message, error.environmental)
    assert remedy_of(answered) == remedy_of(error)


def test_one_error_can_name_another_component_or_check_than_its_class() -> None:
    missing = DeviceUnavailableError("cupy is missing", component=Component.LIBRARIES)
    assert "dualface[cuda]" in remedy_of(missing)
    assert remedy_of(NoSuchGPUError("there is no GPU 3")) == (
        "Name a GPU that this machine has. Correct device.index. More: `dualface doctor --only cards`."
    )
    assert check_of(ChildFailedError("It crashed.", doctor_check="limits")) == "limits"


def test_terminal_and_log_show_the_whole_remedy() -> None:
    error = ModelUnavailableError("It is gone.")
    assert explained(error) == f"It is gone. {ModelUnavailableError.remedy} More: `dualface doctor --only models`."
    assert log_fields(error) == {"code": "MODEL_UNAVAILABLE", "reason": "It is gone.", "remedy": remedy_of(error)}


def remedies_read(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr == "remedy" and isinstance(node.ctx, ast.Load):
            owner = ast.unparse(node.value).rpartition(".")[2]
            if owner not in _REMEDY_IS_FINAL and not owner.endswith("Error"):
                yield f"{path}:{node.lineno}: {ast.unparse(node)}"


def test_nobody_else_reads_the_remedy_of_an_error() -> None:
    """It would lack the settings and the check: ``remedy_of``, ``explained`` and ``log_fields`` have them."""
    folders = [Path(package.__path__[0]) for package in (daemon, pipeline)]
    files = [path for folder in folders for path in folder.rglob("*.py")]
    rightful = Path(daemon.__path__[0]) / "remedies.py"
    assert list(remedies_read(rightful))
    assert [found for path in files if path != rightful for found in remedies_read(path)] == []
