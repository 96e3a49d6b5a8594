"""Is a file being written to? Asked of the kernel, with real descriptors."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from daemon.inbox.open_writers import is_being_written

_OPENED_WHILE_ASKED = """
import fcntl, os, sys
from pathlib import Path
from daemon.inbox import open_writers as writers

def asked_while_somebody_opens(fd, command, argument=0):
    answer = fcntl_itself(fd, command, argument)
    if (command, argument) == (fcntl.F_SETLEASE, fcntl.F_RDLCK):
        try:
            os.close(os.open(sys.argv[1], os.O_WRONLY | os.O_NONBLOCK))  # without the flag it waits for the answer
        except BlockingIOError:
            print("lease broken")
    return answer

fcntl_itself, fcntl.fcntl = fcntl.fcntl, asked_while_somebody_opens
writers.is_being_written(Path(sys.argv[1]))
print("alive")
"""


def test_an_open_writer_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    with path.open("wb"):
        assert is_being_written(path)
    assert not is_being_written(path)


def test_who_opens_the_file_at_that_moment_does_not_end_the_process(tmp_path: Path) -> None:
    """The kernel then breaks the lease with a signal: the default one, SIGIO, kills."""
    path = tmp_path / "x.mp4"
    path.write_bytes(b"recording")
    command = [sys.executable, "-c", _OPENED_WHILE_ASKED, str(path)]
    asked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (asked.returncode, asked.stdout.split("\n")[-2:]) == (0, ["alive", ""]), asked.stderr
    assert "lease broken" in asked.stdout or not _grants_leases(path)


def _grants_leases(path: Path) -> bool:
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
