"""A second machine's network on this one: a network namespace with a cable to the machine; only root can make one."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

HERE, THERE = "10.213.7.1", "10.213.7.2"


@dataclass(frozen=True, slots=True)
class Cable:
    """The cable between both.

    Attributes:
        namespace: of the second machine.
        end: the network interface of this machine.
    """

    namespace: str
    end: str

    @property
    def there(self) -> list[str]:
        """What goes before a command that is to run on the second machine."""
        return ["ip", "netns", "exec", self.namespace]

    def cut(self) -> None:
        _ip("link", "set", self.end, "down")


@contextmanager
def second_machine() -> Iterator[Cable | None]:
    """Yield the cable to it; None if this machine does not let us make one."""
    number = os.getpid() % 10_000
    cable, far = Cable(f"df{number}", f"dfa{number}"), f"dfb{number}"
    if os.geteuid() != 0 or shutil.which("ip") is None:
        yield None
        return
    try:
        _ip("netns", "add", cable.namespace)
        _ip("link", "add", cable.end, "type", "veth", "peer", "name", far)
        _ip("link", "set", far, "netns", cable.namespace)
        _ip("addr", "add", f"{HERE}/24", "dev", cable.end)
        _ip("link", "set", cable.end, "up")
        for words in (
            ["addr", "add", f"{THERE}/24", "dev", far],
            ["link", "set", far, "up"],
            ["link", "set", "lo", "up"],
        ):
            _ip("-n", cable.namespace, *words)
    except subprocess.CalledProcessError:
        _remove(cable)
        yield None
        return
    try:
        yield cable
    finally:
        _remove(cable)


def _remove(cable: Cable) -> None:
    for words in (["link", "del", cable.end], ["netns", "del", cable.namespace]):
        subprocess.run(["ip", *words], capture_output=True, check=False)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], capture_output=True, check=True)
