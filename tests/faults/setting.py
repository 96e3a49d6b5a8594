"""Where a fault strikes: a share that can be filled and unmounted, and services that are started again."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.faults.preload import Control, Rule
from tests.support.recordings import packets, write_recording
from tests.support.service import Service

NAME = "x"
_SIZE = "48m"
_TINY: dict[str, dict[str, Any]] = {
    "leases": {"renew_s": 0.3, "expire_s": 2.5},
    "device": {"backend": "cpu"},
    "workers": {"nice": 0},
}
_POLL_S = 0.01
PATIENCE_S = float(os.environ.get("FAULTS_PATIENCE_S", "120"))  # the longest wait for anything; more on a busy machine


@dataclass(frozen=True, slots=True)
class Reference:
    """The recording that is worked on, and the video packets that an undisturbed run delivers."""

    recording: Path
    packets: list[tuple[int, int, bytes]]
    library: Path


def write_reference(path: Path) -> Path:
    """Three seconds, three segments."""
    return write_recording(path, seconds=3, fps=8, size=(320, 240))


class Setting:
    """A share and its services during one cell of the matrix."""

    def __init__(self, folder: Path, reference: Reference, rule: Rule | None, **sections: dict[str, Any]) -> None:
        self.folder = folder
        self.reference = reference
        self.disk = folder / "disk"
        self.root = folder / "share"
        self.control = Control(folder / "control")
        self.mounted = False
        self.ends: list[int] = []  # exit statuses of services that were started again
        self._rule = rule
        self._sections = {name: {**_TINY.get(name, {}), **sections.get(name, {})} for name in {*_TINY, *sections}}
        self._services: dict[str, Service] = {}

    # -- the share

    def mount(self) -> None:
        """A small file system of its own, seen through a second mount that can go away and come back."""
        for path in (self.disk, self.root):
            path.mkdir()
        _run("mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", self.disk)
        self.bring_back()

    def take_away(self) -> None:
        _run("umount", "--lazy", self.root)
        self.mounted = False

    def bring_back(self) -> None:
        _run("mount", "--bind", self.disk, self.root)
        self.mounted = True

    def fill(self) -> None:
        with (self.disk / "ballast").open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                _write_all(file.write, bytes(size))

    def make_room(self) -> None:
        (self.disk / "ballast").unlink(missing_ok=True)

    def drop(self) -> None:
        """Somebody copies the recording into the inbox."""
        inbox = self.root / "inbox"
        inbox.mkdir(exist_ok=True)
        shutil.copy(self.reference.recording, inbox / f"{NAME}.mp4")

    # -- the services

    def start(self, host: str = "alpha", *, ruled: bool = True) -> Service:
        folder = self.folder / host
        folder.mkdir()
        sections = {**self._sections, "leases": {**self._sections["leases"], "host": host}}
        service = Service(folder, root=self.root, **sections)
        rule = self._rule if ruled else None
        service.environment = self.control.environment(self.reference.library, self.root, rule)
        self._services[host] = service
        return service.start(wait=False)

    def service(self, host: str = "alpha") -> Service:
        return self._services[host]

    @property
    def services(self) -> list[Service]:
        return list(self._services.values())

    def pid(self, host: str = "alpha") -> int:
        process = self._services[host].process
        assert process is not None
        return process.pid

    def tend(self) -> None:
        """Start what has ended again, as systemd does."""
        for service in self._services.values():
            if service.process is not None and (status := service.process.poll()) is not None:
                self.ends.append(status)
                service.start(wait=False)

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        """Wait, and tend the services meanwhile.

        Raises:
            TimeoutError: it did not come true in time.
        """
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            self.tend()
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {PATIENCE_S:.0f} s for {what}")
            time.sleep(_POLL_S)

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for service in self._services.values() for line in service.events(name)]

    # -- what lies on it

    def has_ended(self) -> bool:
        """Whether the recording has been delivered or has failed, and nothing is left to be done."""
        over = (self.disk / f"originals/{NAME}.mp4").exists() or (self.disk / f"failed/{NAME}.report.json").exists()
        return over and not any((self.disk / ".dualface").glob("jobs/*"))

    def close(self) -> None:
        for service in self._services.values():
            service.close()
        if self.mounted:
            _run("umount", "--lazy", self.root)
        if self.disk.exists():
            _run("umount", "--lazy", self.disk)


@contextmanager
def setting(folder: Path, reference: Reference, rule: Rule | None, **sections: dict[str, Any]) -> Iterator[Setting]:
    """A setting with a mounted share, cleared away in the end."""
    folder.mkdir(parents=True)
    made = Setting(folder, reference, rule, **sections)
    try:
        made.mount()
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


def undisturbed(folder: Path, recording: Path, library: Path) -> Reference:
    """Run the service without any fault, and keep what it delivers."""
    with setting(folder, Reference(recording, [], library), None) as calm:
        calm.drop()
        calm.start()
        calm.wait_for(calm.has_ended, "the undisturbed run")
        return Reference(recording, packets(calm.disk / f"outbox/{NAME}.dual.mp4"), library)


def _write_all(write: Callable[[bytes], int | None], block: bytes) -> None:
    try:
        while True:
            write(block)
    except OSError:
        return


def _run(*command: str | os.PathLike[str]) -> None:
    subprocess.run(command, check=True)


def suspend(pid: int) -> list[psutil.Process]:
    """SIGSTOP for a service and its workers, as for a machine that sleeps."""
    service = psutil.Process(pid)
    family = [service, *service.children(recursive=True)]
    for process in family:
        process.suspend()
    return family
