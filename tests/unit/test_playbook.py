"""The playbook names only what exists: error codes, settings, commands, checks of the doctor, and its own sections."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import daemon.errors  # the classes of errors are found as subclasses
import daemon.inbox.arrivals  # noqa: F401  as above
import pipeline.errors
import pipeline.rendering.encoder_factory  # noqa: F401  as above
from daemon.config import catalog
from daemon.status.model import ServiceState
from engines.errors import ExplainedError

TEXT = (Path(__file__).parents[2] / "recover_playbook.md").read_text(encoding="utf-8")
IN_CODE = re.findall(r"`([^`\n]+)`", TEXT)


def codes(kind: type[ExplainedError] = ExplainedError) -> Iterator[str]:
    yield kind.code
    for child in kind.__subclasses__():
        yield from codes(child)


def test_codes_exist() -> None:
    named = {text for text in IN_CODE if re.fullmatch(r"[A-Z]+(_[A-Z]+)*", text)} - {"PAUSE"}
    assert len(named) > 10
    assert named <= set(codes())


def test_settings_exist() -> None:
    sections = {entry.path[0] for entry in catalog.entries() if entry.path}
    named = {text.split(":")[0] for text in IN_CODE if re.match(r"[a-z]+\.[a-z_*]+(:|$)", text)}
    settings = [name for name in named if name.split(".")[0] in sections]
    assert len(settings) > 5
    for name in settings:
        assert catalog.find(name.removesuffix(".*").split(".")), name


def test_commands_exist() -> None:
    named = set(re.findall(r"\bdualface (config \w+|[a-z]+)", "\n".join(IN_CODE) + TEXT[: TEXT.index("| `dualface")]))
    assert len(named) >= 5
    for command in named:
        asked = [sys.executable, "-m", "daemon", *command.split(), "--help"]
        assert subprocess.run(asked, check=False, capture_output=True).returncode == 0, command


def test_checks_of_the_doctor_exist() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "daemon", "doctor", "--list"], check=True, capture_output=True, text=True
    ).stdout
    for name in set(re.findall(r"--only ([a-z-]+)", TEXT)):
        assert re.search(rf"^\s*\W?\s*{name}\b", listed, re.M), name


def test_sections_exist_and_every_trouble_has_one() -> None:
    anchors = {heading.lower().replace(" ", "-") for heading in re.findall(r"^## (.+)$", TEXT, re.M)}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= anchors
    for state in set(ServiceState) - {"idle", "working", "starting", "stopping", "stopped"}:
        assert state.replace("_", " ") in TEXT, state


def test_what_it_says_of_systemd_is_true() -> None:
    text = (Path(__file__).parents[2] / "systemd" / "dualface.service").read_text(encoding="utf-8")
    assert "RestartSec=20\n" in text
    assert "RestartPreventExitStatus=2\n" in text
