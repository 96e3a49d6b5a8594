"""What a process loads: no codec and no tensor library in the service. The direction of imports: see pyproject.toml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = {"av", "cv2", "numpy", "onnx", "onnxruntime", "cupy"}


def test_no_module_hides_a_dependency_or_the_standard_library() -> None:
    own = {path.stem for package in ("daemon", "pipeline", "engines") for path in (ROOT / package).glob("*.py")}
    assert not own & {"watchdog", "queue", "select", "logging", "signal", "typing", "types", "av", "numpy"}


@pytest.mark.parametrize("arguments", [["--help"], ["config", "schema"]])
def test_the_command_starts_without_loading_codecs(arguments: list[str]) -> None:
    script = (
        "import sys; sys.argv = ['dualface', *sys.argv[1:]]\n"
        "from daemon.cli.app import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        f"loaded = {HEAVY} & sys.modules.keys()\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", script, *arguments], check=True, capture_output=True, cwd=ROOT, timeout=60)


@pytest.mark.parametrize("module", ["daemon.service.main", "daemon.cli.process.view"])
def test_the_service_loads_neither_codecs_nor_numpy(module: str) -> None:
    """Media is opened in workers only: a hostile file can only hurt a worker, and an idle service stays small."""
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not HEAVY & set(loaded)
