"""What goes wrong during a soak, at random: processes die or hang, the disk fills, the share goes and comes back."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from tests.support.service import Service

PATIENCE_S = 900.0  # with a service that starts or stops on a busy machine
_BALLAST = "ballast"


class Disk:
    """A small file system of its own for the share; only root can mount one, everybody else takes a folder."""

    def __init__(self, share: Path, size: str) -> None:
        self.share = share
        self._disk = share.with_name("disk")
        for folder in (self.share, self._disk):
            folder.mkdir(parents=True)
        self.is_real = _mount("-t", "tmpfs", "-o", f"size={size}", "soak", str(self._disk))
        if self.is_real:
            self.attach()

    def attach(self) -> None:
        if not _mount("--bind", str(self._disk), str(self.share)):
            raise RuntimeError("the share cannot be mounted")

    def detach(self) -> None:
        """Take the share away, as a NAS that is switched off: what is open there stays open."""
        subprocess.run(["umount", "--lazy", str(self.share)], check=True)

    def fill(self) -> None:
        with suppress(OSError), (self.share / _BALLAST).open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))

    def drain(self) -> None:
        (self.share / _BALLAST).unlink(missing_ok=True)

    def close(self) -> None:
        for folder in (self.share, self._disk):
            subprocess.run(["umount", "--lazy", str(folder)], check=False, capture_output=True)


class Disturbances:
    """Starts a random disturbance now and then and ends it after a while; one at a time.

    Attributes:
        counts: how often each came.
        storage_is_well: nothing is wrong with the share now, so files can be dropped.
    """

    def __init__(self, service: Service, disk: Disk, seed: int, *, every_s: float) -> None:
        self._service = service
        self._disk = disk
        self._dice = random.Random(f"disturbances {seed}")
        self._every_s = every_s
        self._next_at = time.monotonic() + every_s
        self._end: tuple[float, Callable[[], object]] | None = None
        self._ended_before = 0
        self.counts: Counter[str] = Counter()
        self.storage_is_well = True
        self._kinds: list[tuple[Callable[[], None], int]] = [
            (self._kill_worker, 8),
            (self._hang_worker, 2),
            (self._kill_service, 2),
            (self._stop_service, 2),
            (self._freeze_service, 2),
            (self._pause, 3),
        ]
        if disk.is_real:
            self._kinds += [(self._fill_disk, 4), (self._detach_share, 3)]

    @property
    def worker_kills(self) -> int:
        """Deaths and hangs of single workers; those of the service cost a file no attempt."""
        return self.counts["kill worker"] + self.counts["hang worker"]

    def advance(self, ended: int) -> None:
        """End what has lasted long enough, or begin something, if it is time.

        Args:
            ended: files so far; until there is one more, nothing new is begun.
        """
        now = time.monotonic()
        if self._end is not None:
            if now >= self._end[0]:
                self.calm()
        elif now >= self._next_at and ended > self._ended_before:
            self._ended_before = ended
            kinds, weights = zip(*self._kinds, strict=True)
            self._dice.choices(kinds, weights)[0]()
            self._next_at = time.monotonic() + self._dice.uniform(0.3, 1.7) * self._every_s

    def calm(self) -> None:
        """End the present disturbance at once."""
        if self._end is not None:
            self._end[1]()
            self._end = None
        self.storage_is_well = True

    def _for_a_while(self, what: str, least_s: float, most_s: float, end: Callable[[], object]) -> None:
        self.counts[what] += 1
        self._end = (time.monotonic() + self._dice.uniform(least_s, most_s), end)

    def _workers(self) -> Iterator[psutil.Process]:
        with suppress(psutil.Error):
            yield from self._service.workers()

    def _kill_worker(self) -> None:
        for worker in self._workers():
            with suppress(psutil.NoSuchProcess):
                worker.kill()
                self.counts["kill worker"] += 1
            return

    def _hang_worker(self) -> None:
        """The service kills it in the end, when it has stood still for too long."""
        for worker in self._workers():
            worker.send_signal(signal.SIGSTOP)
            self.counts["hang worker"] += 1
            return

    def _kill_service(self) -> None:
        self._service.kill()
        self._service.start(timeout_s=PATIENCE_S)
        self.counts["kill service"] += 1

    def _stop_service(self) -> None:
        if self._service.stop(timeout_s=PATIENCE_S) != 0:
            raise RuntimeError(f"the service did not stop in order: {self._service.tail()}")
        self._service.start(timeout_s=PATIENCE_S)
        self.counts["stop service"] += 1

    def _freeze_service(self) -> None:
        process = self._service.process
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        self._for_a_while("freeze service", 0.5, 4, lambda: process.send_signal(signal.SIGCONT))

    def _pause(self) -> None:
        pause = self._service.root / "PAUSE"
        pause.write_text("a soak's pause")
        self._for_a_while("pause", 1, 5, lambda: pause.unlink(missing_ok=True))

    def _fill_disk(self) -> None:
        self.storage_is_well = False
        self._disk.fill()
        self._for_a_while("full disk", 2, 8, self._disk.drain)

    def _detach_share(self) -> None:
        self.storage_is_well = False
        self._disk.detach()
        self._for_a_while("share away", 2, 8, self._disk.attach)


def _mount(*arguments: str) -> bool:
    return subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode == 0
