"""The real service as a subprocess on a share of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import yaml

PATIENCE_S = 240.0  # for what takes seconds; machines are shared

_UNTIL_NOW = b"until now"

FAST: dict[str, Any] = {
    "share": {"low_bytes": 0, "resume_bytes": 0},
    "settle": {"local_s": 0.4, "polls": 2, "unfinished_s": 1, "chapters_s": 0.5},
    "scan": {"min_interval_s": 0.1, "max_interval_s": 0.5, "empty_after_s": 1},
    "segments": {"seconds": 1},
    "degradation": {"cool_down_s": 0.2, "cool_down_longest_s": 1, "probation_segments": 2, "disk_low_bytes": 0},
    "retry": {"first_s": 0.1, "longest_s": 0.5},
    "status": {"interval_s": 0.1},
    "workers": {"concurrent_jobs": 1, "stop_timeout_s": 60},
    "profiles": {"default": {"preset": "ultrafast", "crf": 30}},
}


class Service:
    """Starts, watches, stops and kills `dualface run`."""

    def __init__(self, folder: Path, *, root: Path | None = None, **sections: Any) -> None:
        self.folder = folder
        self.root = root or folder / "share"
        self.root.mkdir(exist_ok=True)
        self.log_path = folder / "journal"
        document: dict[str, Any] = {name: {**FAST[name], **sections.get(name, {})} for name in FAST}
        document = {**sections, **document}  # a section that is a list comes from the test alone
        document["share"]["root"] = str(self.root)
        self.config = folder / "config.yaml"
        self.config.write_text(yaml.safe_dump(document))
        self._systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._systemd.bind(str(folder / "notify"))
        self._notified: list[str] = []
        self._caught_up = threading.Event()
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()
        self.environment: dict[str, str] = {}  # added to our own
        self.wrapper: list[str] = []  # a program with its options that starts it
        self.process: subprocess.Popen[bytes] | None = None

    # -- life

    def start(self, *, wait: bool = True, timeout_s: float = PATIENCE_S) -> Service:
        systemd = {"NOTIFY_SOCKET": str(self.folder / "notify"), "WATCHDOG_USEC": "3000000"}
        environment = {**os.environ, **systemd, **self.environment}
        environment.pop("WATCHDOG_PID", None)
        command = [*self.wrapper, sys.executable, "-m", "daemon", "run", "--config", str(self.config)]
        seen = self._ready_count()
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stderr=log, stdin=subprocess.DEVNULL)
        if wait:
            self.wait_for(lambda: self._ready_count() > seen, "READY=1", timeout_s)
        return self

    def stop(self, *, timeout_s: float = PATIENCE_S) -> int:
        """SIGTERM, as systemd does; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=timeout_s)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End what is left of it, and check that nothing survives it."""
        if self.process is not None and self.process.poll() is None:
            children = psutil.Process(self.process.pid).children(recursive=True)
            self.kill()
            _, alive = psutil.wait_procs(children, timeout=10)
            assert not alive, "workers outlived the service"
        if self._listening.is_alive():
            self._systemd.shutdown(socket.SHUT_RD)
            self._listening.join()
            self._systemd.close()

    def workers(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children()

    def kill_workers(self) -> None:
        for worker in self.workers():
            with suppress(psutil.NoSuchProcess):  # it may have come to its end by itself
                worker.kill()

    # -- its output

    def notifications(self) -> list[str]:
        """Return the messages to systemd so far."""
        self._caught_up.clear()
        self._systemd.sendto(_UNTIL_NOW, self._systemd.getsockname())
        assert self._caught_up.wait(PATIENCE_S)
        return self._notified

    def _listen(self) -> None:
        """Receive messages at any time, as systemd does: the service would wait for a receiver that does not."""
        while message := self._systemd.recv(65536):
            if message == _UNTIL_NOW:
                self._caught_up.set()
            else:
                self._notified.append(message.decode())

    def journal(self) -> list[dict[str, Any]]:
        if not self.log_path.exists():
            return []
        written, _, _half_a_line = self.log_path.read_text().rpartition("\n")
        return [json.loads(line) for line in written.splitlines() if line.startswith("{")]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.journal() if line["event"] == name]

    def status(self) -> dict[str, Any]:
        path = self.root / "outbox" / "status.json"
        return json.loads(path.read_text()) if path.exists() else {"state": "none", "running": []}

    def page(self) -> str:
        """Return the status page; it follows ``status`` a moment later."""
        path = self.root / "outbox" / "status.html"
        return path.read_text() if path.exists() else ""

    def wait_for(self, condition: Callable[[], object], what: str, timeout_s: float = PATIENCE_S) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert self.process is None or self.process.poll() is None, f"the service ended: {self.tail()}"
            assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}: {self.tail()}"
            time.sleep(0.02)

    def tail(self) -> str:
        return "\n".join(self.log_path.read_text().splitlines()[-15:]) if self.log_path.exists() else "no journal"

    def _ready_count(self) -> int:
        return self.notifications().count("READY=1")

    # -- what lies on the share

    def inbox(self, relative: str) -> Path:
        path = self.root / "inbox" / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def exists(self, relative: str) -> bool:
        return (self.root / relative).exists()

    def files(self, folder: str) -> set[str]:
        """Files below a folder of the share, without hidden ones and the status page."""
        base = self.root / folder
        found = {str(path.relative_to(base)) for path in base.rglob("*") if not path.is_dir()}
        return {name for name in found if not name.startswith(("status.", ".")) and "/." not in name}

    def report(self, relative: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.root / relative).read_text())
        return document

    def jobs(self) -> list[Path]:
        return list((self.root / ".dualface" / "jobs").iterdir())

    def segments(self) -> list[Path]:
        """Those that running jobs have rendered."""
        return list((self.root / ".dualface" / "jobs").glob("*/segments/*.h264"))


def outputs(stem: str, number: int = 1) -> set[str]:
    """The four files that a finished job leaves in the outbox."""
    mark = ".dual" if number == 1 else f".dual-{number}"
    return {stem + mark + suffix for suffix in (".mp4", ".report.json", ".tracks.jsonl.gz", ".preview.jpg")}


def fill(path: Path) -> None:
    """Write a file until the disk is full, while others write there too."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(65536))
