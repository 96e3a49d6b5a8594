"""The direction of imports: daemon -> pipeline -> engines, and no codec or tensor library in the daemon."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    "engines": {"pipeline", "daemon"},
    "pipeline": {"daemon"},
    "daemon": {"av", "cv2", "numpy", "onnx", "onnxruntime", "cupy", "PyNvVideoCodec", "tensorrt", "tensorrt_rtx"},
}


def imported(source: str) -> Iterator[str]:
    """Top-level packages that a module imports anywhere, inside functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the direction"
            yield (node.module or "").split(".")[0]


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_imports_never_point_left(package: str) -> None:
    modules = sorted((ROOT / package).rglob("*.py"))
    assert modules
    wrong = {
        str(path.relative_to(ROOT)): names
        for path in modules
        if (names := FORBIDDEN[package] & set(imported(path.read_text(encoding="utf-8"))))
    }
    assert not wrong


def test_no_module_hides_a_dependency_or_the_standard_library() -> None:
    own = {path.stem for package in FORBIDDEN for path in (ROOT / package).glob("*.py")}
    assert not own & {"watchdog", "queue", "select", "logging", "signal", "typing", "types", "av", "numpy"}


@pytest.mark.parametrize("arguments", [["--help"], ["config", "schema"]])
def test_the_command_starts_without_loading_codecs(arguments: list[str]) -> None:
    script = (
        "import sys; sys.argv = ['dualface', *sys.argv[1:]]\n"
        "from daemon.cli.app import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "loaded = {'av', 'cv2', 'numpy', 'onnxruntime'} & sys.modules.keys()\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", script, *arguments], check=True, capture_output=True, cwd=ROOT, timeout=60)


def test_the_service_loads_neither_codecs_nor_numpy():
    """Media is opened in workers only, and an idle service stays small."""
    code = "import sys, daemon.service.main, daemon.cli.process_view; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "av", "cv2", "onnxruntime", "cupy"} & set(loaded)
