"""Rules for the shim that is preloaded into the service: which call on the share it acts on, and how."""

from __future__ import annotations

import errno
import os
import shutil
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

_SOURCE = Path(__file__).with_name("shim.c")


def compiler() -> str | None:
    """The C compiler that builds the shim; None where there is none."""
    return shutil.which("cc") or shutil.which("gcc")


def build(folder: Path) -> Path:
    """Compile the shim."""
    library = folder / "shim.so"
    command = [compiler() or "cc", "-shared", "-fPIC", "-O1", "-Wall", "-o", str(library), str(_SOURCE), "-ldl"]
    subprocess.run([*command, "-lpthread"], check=True)
    return library


@dataclass(frozen=True, slots=True)
class Call:
    """Calls on the share: by whom ("daemon", "worker", "any"), which ones, and on what.

    Attributes:
        operations: of create, open, read, write, fsync, rename, link, unlink, mkdir, list; comma-separated.
        pattern: of the whole path, ``*`` crossing slashes; of a rename's target.
        nth: which of the matching calls of a process.
        armed_by: operation and pattern of a call that must have come before in the same process.
    """

    role: str
    operations: str
    pattern: str
    nth: int = 1
    armed_by: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """What is done at a call: "meet" (tell and wait), "fail" (with ``number``), or "exit" (with that status)."""

    call: Call
    action: str = "meet"
    after: bool = False  # the call is carried out first
    number: int = 0
    times: int = 1

    def __str__(self) -> str:
        what = f"{errno.errorcode[self.number]} " if self.action == "fail" else ""
        return f"{what}{'after' if self.after else 'at'} {self.call.operations} {self.call.pattern}"

    def environment(self) -> dict[str, str]:
        call = self.call
        action = self.action if self.action == "meet" else f"{self.action}:{self.number}"
        moment = "after" if self.after else "before"
        lines = (call.role, call.operations, call.pattern, call.nth, moment, action, self.times)
        armed = {"FAULT_ARM": "\n".join(call.armed_by)} if call.armed_by else {}
        return {"FAULT_RULE": "\n".join(map(str, lines)), **armed}


class Control:
    """The folder through which shim and harness talk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.jump(0)

    def environment(self, library: Path, root: Path, rule: Rule | None) -> dict[str, str]:
        """What preloads the shim; without a rule it only traces."""
        names = {"LD_PRELOAD": str(library), "FAULT_DIR": str(self.folder), "FAULT_ROOT": str(root)}
        return {**names, **(rule.environment() if rule else {})}

    @property
    def hits(self) -> int:
        """How often the rule has acted."""
        return len(list(self.folder.glob("hit.*")))

    def met(self) -> int | None:
        """The id of the process that waits at a meeting."""
        try:
            return int((self.folder / "met.0").read_text().split()[0])
        except (FileNotFoundError, IndexError):
            return None

    def go(self) -> None:
        """End the meeting."""
        (self.folder / "go").touch()

    def jump(self, seconds: int) -> None:
        """Move the wall clock of all processes."""
        with (self.folder / "clock").open("r+b" if (self.folder / "clock").exists() else "wb") as file:
            file.write(struct.pack("=q", seconds))

    def trace(self) -> list[tuple[int, str, str, str]]:
        """(process id, role, operation, path) of what was created, renamed, linked and removed, in order."""
        try:
            lines = (self.folder / "trace").read_bytes().decode(errors="surrogateescape").splitlines()
        except FileNotFoundError:
            return []
        parts = [line.split(" ", 3) for line in lines]
        return [(int(pid), role, operation, path) for pid, role, operation, path in parts]


def wait_until(condition: object, what: str, timeout_s: float) -> None:
    """Wait for a condition (a callable).

    Raises:
        TimeoutError: it did not come true in time.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_s:.0f} s for {what}")
        time.sleep(0.005)


def is_root() -> bool:
    return os.geteuid() == 0
