"""A cluster of Ray on this machine, with the commands that people use."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import yaml

from daemon.config.settings import Settings
from daemon.executor.nodes import NodeDescription
from daemon.executor.ray_environment import PORTS
from tests.support.network import HERE, THERE, Cable

HEAD = ["cluster", "start", "--idle"]
REPO = Path(__file__).parents[2]
PATIENCE_S = 60.0
_TOKEN = Path(tempfile.gettempdir()) / f"df-{os.getpid()}.token"  # Ray reads it once in a process
atexit.register(_TOKEN.unlink, missing_ok=True)


class Cluster:
    """A head that does no work, and nodes with two places each; all of them share a folder.

    Args:
        cable: to a second machine, on which the nodes run.

    Attributes:
        folder: of everything; its name is short, since sockets lie in it.
        root: the share.
    """

    def __init__(self, cable: Cable | None = None) -> None:
        self.address = HERE if cable else own_address()
        self._there = THERE if cable else self.address
        self._cable = cable
        self.folder = Path(tempfile.mkdtemp(prefix="df-", dir="/tmp"))
        self.root = self.folder / "share"
        self.root.mkdir()
        self.port = free_ports()
        self._next_port = self.port + PORTS
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.start("head", HEAD, self.port)

    def document(self, name: str) -> dict[str, Any]:
        """Return the configuration of one host."""
        return {
            "share": {"root": str(self.root)},
            "leases": {"host": name, "renew_s": 0.5, "expire_s": 3},
            "device": {"backend": "cpu"},
            "workers": {"concurrent_jobs": 2, "stall_timeout_s": 100},
            "cluster": {
                "engine": "ray",
                "address": self.address,
                "port": self.port,
                "token_file": str(_TOKEN),
            },
            "log": {"format": "json"},
        }

    def settings(self, name: str = "head") -> Settings:
        return Settings.model_validate(self.document(name))

    def add(self, name: str) -> None:
        """Start a node and wait until it has joined."""
        self.start(name, ["node", "--address", self.address], self._next_port)
        self._next_port += PORTS

    def standby(self, name: str) -> int:
        """Start a host that waits until the head has gone; return its port."""
        port, self._next_port = self._next_port, self._next_port + PORTS
        self.start(name, [*HEAD, "--standby"], port, wait=False)
        return port

    def start(self, name: str, command: list[str], port: int, *, wait: bool = True) -> None:
        """Start one host's process, and wait until Ray runs there."""
        config = self.folder / f"{name}.yaml"
        config.write_text(yaml.safe_dump(self.document(name)))
        options = ["--config", str(config), "--folder", str(self.folder / name)]
        options += ["--port", str(port)]
        paths = [str(REPO), os.environ.get("PYTHONPATH", "")]
        with (self.folder / f"{name}.log").open("wb") as output:
            self.processes[name] = subprocess.Popen(
                [*self._machine(name), sys.executable, "-m", "daemon", *command, *options],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/",
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            )  # fmt: skip
        if wait:
            self.wait_for(name, port + 1)

    def wait_for(self, name: str, port: int) -> None:
        """Wait until the node's raylet listens."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with suppress(OSError):
                address = self._there if self._machine(name) else self.address
                socket.create_connection((address, port), 1).close()
                return
            assert self.processes[name].poll() is None, self.log(name)
            assert time.monotonic() < deadline, self.log(name)
            time.sleep(0.1)

    def _machine(self, name: str) -> list[str]:
        """Return what goes before a command that is to run on a host; nothing on this machine."""
        return self._cable.there if self._cable is not None and name != "head" else []

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    @property
    def state(self) -> Path:
        """The services' folder on the share."""
        return self.root / ".dualface"

    def description(self, name: str) -> NodeDescription:
        found = NodeDescription.read(self.state, name)
        assert found is not None
        return found

    def family(self, name: str) -> list[psutil.Process]:
        """All processes of one host, the first one last."""
        process = psutil.Process(self.processes[name].pid)
        return [*reversed(process.children(recursive=True)), process]

    def named(self, name: str, part: str) -> list[psutil.Process]:
        """The processes of a host with a word in their command line."""
        return [process for process in self.family(name) if part in " ".join(_command(process))]

    def signal(self, name: str, number: int) -> None:
        """Send a signal to all processes of one host, as when the machine is switched off or sleeps."""
        for process in self.family(name):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def end(self, name: str) -> None:
        """End all processes of one host."""
        with suppress(psutil.NoSuchProcess):
            self.signal(name, signal.SIGKILL)
        self.processes.pop(name).wait(30)

    def close(self) -> None:
        for name in reversed(list(self.processes)):
            self.end(name)
        shutil.rmtree(self.folder, ignore_errors=True)


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def own_address() -> str:
    """Return the machine's address as Ray knows it; it does not use 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        with suppress(OSError):
            probe.connect(("192.0.2.1", 9))
        found = str(probe.getsockname()[0])
    return "127.0.0.1" if found == "0.0.0.0" else found


def free_ports() -> int:
    """Return the first of four blocks of ports of which nobody listens on the first ones."""
    for first in range(20000 + os.getpid() % 40 * 4 * PORTS, 60000, 4 * PORTS):
        if all(_is_free(first + block * PORTS + number) for block in range(4) for number in range(8)):
            return first
    raise AssertionError("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex((own_address(), port)) != 0
