"""`dualface doctor` as a command, and a service that does not start and names the check that explains it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.service import PATIENCE_S, Service
from tests.support.share import make_share

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a file system needs root")


def doctor(
    root: Path, *arguments: str, before: Sequence[str] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    given = {**os.environ, "DUALFACE__SHARE__ROOT": str(root), "DUALFACE__DEVICE__BACKEND": "cpu", **environment}
    command = [*before, sys.executable, "-m", "daemon", "doctor", *arguments]
    return subprocess.run(command, env=given, capture_output=True, text=True, check=False, timeout=PATIENCE_S)


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", *options, str(folder)], check=True, capture_output=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.fixture
def mount() -> Iterator[Callable[..., Path]]:
    with ExitStack() as stack:
        yield lambda folder, *options: stack.enter_context(mounted(folder, *options))


def results(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    return {found["name"]: found for found in json.loads(done.stdout)["checks"]}


def test_a_machine_on_which_all_is_well(tmp_path: Path) -> None:
    """Everything, really measured: the backend, codecs and the share."""
    make_share(tmp_path)
    done = doctor(tmp_path, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = results(done)
    for name in ("backend", "limits", "codecs-cpu", "models", "share-there", "share-rename", "share-names"):
        assert found[name]["result"] == "ok", found[name]
    assert {model["licence"] for model in found["models"]["facts"]["models"]} == {"MIT", "CC0-1.0"}
    assert found["codecs-cpu"]["facts"]["decode"]["hevc"] == ""
    assert found["driver"]["result"] == "not applicable"
    assert [path.name for path in (tmp_path / ".dualface").glob("measure-*")] == []


def test_a_share_that_is_missing_cannot_be_used(tmp_path: Path) -> None:
    done = doctor(tmp_path / "nowhere", "--only", "share-rename")
    assert done.returncode == 3
    assert "share-there" in done.stdout
    assert "mkdir -p" in done.stdout.replace("\n", "")


def test_a_backend_that_cannot_run(tmp_path: Path) -> None:
    done = doctor(tmp_path, "--only", "backend", "--json", DUALFACE__DEVICE__BACKEND="cuda")
    assert done.returncode == 3
    assert results(done)["backend"]["result"] == "failed"


def test_wrong_usage_and_configuration(tmp_path: Path) -> None:
    assert doctor(tmp_path, "--only", "nonsense").returncode == 2
    assert doctor(tmp_path, DUALFACE__SHARE__ROOOT="x").returncode == 2
    listed = doctor(tmp_path, "--list", "--json")
    assert listed.returncode == 0
    assert "share-rename" in json.loads(listed.stdout)


@needs_root
def test_an_inbox_that_the_user_may_not_write(tmp_path: Path) -> None:
    share = make_share(tmp_path)
    os.chown(share.inboxes[0], 65534, 65534)
    share.inboxes[0].chmod(0o755)
    plain_user = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"]
    done = doctor(tmp_path, "--json", "--only", "share-permissions", before=plain_user)
    assert done.returncode == 3
    assert "inbox (permission denied)" in results(done)["share-permissions"]["summary"]


@needs_root
def test_a_service_with_an_inbox_on_another_mount_does_not_start_and_names_the_check(
    make_service: Callable[..., Service], mount: Callable[..., Path]
) -> None:
    service = make_service()
    mount(service.root / "inbox", "-t", "tmpfs", "-o", "size=4m", "tmpfs")
    service.start(wait=False)
    assert service.process is not None
    assert service.process.wait(timeout=PATIENCE_S) == 3
    (line,) = service.events("service cannot run")
    assert line["code"] == "SHARE_UNUSABLE"
    assert "inbox" in line["reason"]
    assert "`dualface doctor --only share-one-file-system`" in line["remedy"]


def test_a_service_whose_limits_leave_no_room_names_the_check(make_service: Callable[..., Service]) -> None:
    service = make_service(workers={"limits": {"address_space_bytes": 2**28}}, device={"backend": "cpu"})
    service.start(wait=False)
    assert service.process is not None
    assert service.process.wait(timeout=PATIENCE_S) == 3
    (line,) = service.events("service cannot run")
    assert "`dualface doctor --only limits`" in line["remedy"]


def test_a_missing_root_names_the_check(make_service: Callable[..., Service]) -> None:
    service = make_service()
    service.root.rmdir()
    service.start(wait=False)
    assert service.process is not None
    assert service.process.wait(timeout=PATIENCE_S) == 3
    (line,) = service.events("service cannot run")
    assert "`dualface doctor --only share-there`" in line["remedy"]
