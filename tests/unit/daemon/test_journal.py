"""Lines in the journal have fields to filter by; checked against a real systemd-journald where one can be started."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from daemon import journal, logs
from daemon.config.settings import LogSettings

JOURNALD = Path("/lib/systemd/systemd-journald")


@pytest.fixture(autouse=True)
def unconfigured() -> Iterator[None]:
    yield
    structlog.reset_defaults()


Configure = Callable[..., Path]
Entries = Callable[[], list[dict[str, str]]]


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Configure]:
    """Sets up the log on a standard error that systemd says is the journal's; returns the file behind it."""
    with (tmp_path / "stderr").open("w") as stream:

        def set_up(**settings: Any) -> Path:
            found = os.fstat(stream.fileno())
            monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
            monkeypatch.setattr(sys, "stderr", stream)
            logs.configure(LogSettings(**settings))
            return tmp_path / "stderr"

        yield set_up


def decode(entry: bytes) -> dict[str, str]:
    """The protocol as its specification says, written down once more."""
    fields = {}
    while entry:
        line, _, rest = entry.partition(b"\n")
        name, sign, value = line.partition(b"=")
        if not sign:
            length = int.from_bytes(rest[:8], "little")
            value, rest = rest[8 : 8 + length], rest[8 + length + 1 :]
        fields[name.decode()] = value.decode()
        entry = rest
    return fields


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> Iterator[Entries]:
    """What has arrived at the journal's socket."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        monkeypatch.setattr(journal, "SOCKET", Path(folder, "socket"))
        receiver.bind(str(Path(folder, "socket")))
        receiver.setblocking(False)

        def arrived() -> list[dict[str, str]]:
            found = []
            while True:
                try:
                    found.append(decode(receiver.recv(1 << 20)))
                except BlockingIOError:
                    return found

        yield arrived


def test_every_key_is_a_field(configure: Configure, entries: Entries) -> None:
    stderr = configure()
    log = structlog.get_logger().bind(job="j1", file="inbox/두 사람.mp4")
    log.warning("job waits", stage="queued", retry_in_s=2.5, reason="line one\nline two", **{"odd-key": 1, "_own": 2})
    (fields,) = entries()
    assert json.loads(fields.pop("MESSAGE"))["event"] == "job waits"
    assert fields == {
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "dualface",
        "EVENT": "job waits",
        "JOB": "j1",
        "FILE": "inbox/두 사람.mp4",
        "STAGE": "queued",
        "RETRY_IN_S": "2.5",
        "REASON": "line one\nline two",
        "ODD_KEY": "1",
        "OWN": "2",
    }
    assert stderr.read_text() == ""


def test_values_cannot_inject_fields(configure: Configure, entries: Entries) -> None:
    configure()
    structlog.get_logger().info("left alone", file="a\nPRIORITY=0\nJOB=other", message="no", priority=0)
    (fields,) = entries()
    assert (fields["PRIORITY"], fields["FILE"]) == ("6", "a\nPRIORITY=0\nJOB=other")
    assert "JOB" not in fields
    assert json.loads(fields["MESSAGE"])["message"] == "no"


def test_workers_lines_keep_their_fields(configure: Configure, entries: Entries) -> None:
    configure()
    logs.relay(structlog.get_logger().bind(job="j"), '{"event": "job resumes", "level": "error", "at_s": 2}')
    (fields,) = entries()
    assert (fields["JOB"], fields["PRIORITY"], fields["AT_S"]) == ("j", "3", "2")


def test_text_on_request(configure: Configure, entries: Entries) -> None:
    configure(format="console")
    structlog.get_logger().info("job queued", job="j")
    (fields,) = entries()
    assert "job queued" in fields["MESSAGE"]
    assert "\x1b" not in fields["MESSAGE"]
    assert fields["JOB"] == "j"


def test_without_the_journal_nothing_is_lost(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(journal, "SOCKET", tmp_path / "nobody listens")
    stderr = configure()
    structlog.get_logger().info("job queued", job="j")
    assert json.loads(stderr.read_text())["job"] == "j"


def test_a_stream_that_is_not_the_journals(configure: Configure, tmp_path: Path) -> None:
    configure()
    assert journal.is_journal(sys.stderr)
    with (tmp_path / "other").open("w") as other:
        assert not journal.is_journal(other)
    assert not journal.is_journal(io.StringIO())


@pytest.fixture
def journald() -> Iterator[str]:
    """A systemd-journald of our own, under a name of its own; yields the name."""
    if os.geteuid() != 0 or not JOURNALD.exists() or shutil.which("journalctl") is None:
        pytest.skip("needs root and systemd-journald")
    name = f"dualface{uuid.uuid4().hex[:8]}"
    process = subprocess.Popen([JOURNALD, name], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while not Path(f"/run/systemd/journal.{name}/socket").exists():
            assert process.poll() is None, "systemd-journald cannot run here"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield name
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(f"/run/systemd/journal.{name}", ignore_errors=True)
        for base in ("/run/log/journal", "/var/log/journal"):
            for folder in Path(base).glob(f"*.{name}"):
                shutil.rmtree(folder)


def test_the_journal_can_be_filtered(configure: Configure, journald: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "SOCKET", Path(f"/run/systemd/journal.{journald}/socket"))
    configure()
    for job in ("j1", "j2"):
        structlog.get_logger().bind(job=job).info("job failed", stage="failed", code="NO_VIDEO", reason="a\nb")

    def found(*match: str) -> list[dict[str, Any]]:
        command = ["journalctl", f"--namespace={journald}", "--output=json", *match]
        out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
        return [json.loads(line) for line in out.splitlines()]

    deadline = time.monotonic() + 20
    while not found("JOB=j2"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    (entry,) = found("JOB=j1", "CODE=NO_VIDEO")
    assert (entry["STAGE"], entry["REASON"], entry["SYSLOG_IDENTIFIER"]) == ("failed", "a\nb", "dualface")
    assert json.loads(entry["MESSAGE"])["code"] == "NO_VIDEO"
    assert found("JOB=j3") == []
