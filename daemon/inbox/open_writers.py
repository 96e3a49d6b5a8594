"""Detection of processes on this machine that still write to a file."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

_SEARCH_S = 0.3
_PROC = Path("/proc")


def is_being_written(path: Path) -> bool:
    """Return whether a process of this machine has the file open for writing, including Samba and NFS servers.

    The kernel grants a read lease only on a file that no process has open for writing. If it grants none (another
    user's file, or a network file system), the open files of all visible processes are searched, for a limited time.

    Raises:
        OSError: the file cannot be opened.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)  # the default, SIGIO, would kill us if somebody opens it now
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return _has_open_descriptor(path)
    finally:
        os.close(fd)
    return False


def _has_open_descriptor(path: Path) -> bool:
    wanted = str(path.resolve())
    deadline = time.monotonic() + _SEARCH_S
    return any(_opened_for_writing(link) for link in _links_to(wanted, deadline))


def _links_to(wanted: str, deadline: float) -> Iterator[Path]:
    for process in _PROC.iterdir():
        if time.monotonic() > deadline:
            return
        if process.name.isdecimal():
            yield from _links_of(process, wanted)


def _links_of(process: Path, wanted: str) -> Iterator[Path]:
    try:
        for link in (process / "fd").iterdir():
            if os.readlink(link) == wanted:  # noqa: PTH115 - plain text, no Path for each descriptor
                yield link
    except OSError:  # another user's process, or it has ended
        return


def _opened_for_writing(link: Path) -> bool:
    try:
        info = (link.parent.parent / "fdinfo" / link.name).read_text()
    except OSError:
        return False
    flags = next((line.split()[1] for line in info.splitlines() if line.startswith("flags:")), "0")
    return int(flags, 8) & os.O_ACCMODE != os.O_RDONLY
