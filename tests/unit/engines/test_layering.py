"""Nothing in engines speaks of what belongs to the layers above: commands, extras of the package, configuration."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import engines
from daemon.config import catalog

ROOT = Path(engines.__path__[0])
MODULES = sorted(ROOT.rglob("*.py"))


def keys() -> set[str]:
    """Return the dotted keys of the configuration; those of a profile also as they stand in the profile."""
    paths = [entry.path for entry in catalog.entries()]
    paths += [path[2:] for path in paths if path[:2] == ("profiles", catalog.ANY)]
    return {".".join(path) for path in paths if len(path) > 1 and catalog.ANY not in path}


KEYS = re.compile(rf"(?<![\w.])(?:{'|'.join(map(re.escape, sorted(keys())))})(?!\w)")
COMMANDS = re.compile(r"dualface[ \[]|--only\b")


def strings(source: str) -> Iterator[tuple[int, str]]:
    """Yield all string literals, also docstrings and the parts of f-strings, with their lines."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def foreign(source: str) -> list[str]:
    """Return where a literal names a command, an extra or a key, with its line."""
    found = [(line, *KEYS.findall(text), *COMMANDS.findall(text)) for line, text in strings(source)]
    return [" ".join(map(str, words)) for words in found if len(words) > 1]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_names_no_command_no_extra_and_no_setting(path: Path) -> None:
    assert foreign(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "literal",
    [
        '"Lower workers.concurrent_jobs."',
        '"""The GPU is fuller than ``device.vram_guard`` allows."""',
        'f"More: `dualface doctor --only {check}`."',
        '"Install the extra dualface[cpu]."',
        '"Set identity.gap_s in the profile."',
    ],
)
def test_what_belongs_above_is_found(literal: str) -> None:
    assert foreign(literal)


def test_the_names_of_attributes_and_files_are_no_settings() -> None:
    assert foreign('device.index\n"device"\n"dualface-cards-1"\n"mydevice.index"') == []
