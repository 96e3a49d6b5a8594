"""Promises of GPU memory and slots between processes: real processes, real locks, and killed processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engines.cuda.cross_process import Slots, VramLedger
from engines.cuda.encoding.sessions import EncoderSessions
from engines.cuda.memory import MIB, VramManager
from engines.errors import EncoderBusyError, VramGuardError
from engines.nvml import VramReading

GIB = 1024 * MIB

PROMISES = """
import sys
from pathlib import Path
from engines.cuda.cross_process import VramLedger
ledger = VramLedger(Path(sys.argv[1]))
with ledger.deciding():
    ledger.promise(int(sys.argv[2]))
"""
TAKES = """
import sys
from pathlib import Path
from engines.cuda.cross_process import Slots
place = Slots(Path(sys.argv[1]), int(sys.argv[2])).take()
assert place is not None
"""
COMPETES = """
import sys
from pathlib import Path
from engines.cuda.memory import VramManager
from engines.nvml import VramReading
from engines.cuda.cross_process import VramLedger
from engines.errors import VramGuardError
GIB = 2**30
manager = VramManager(lambda: VramReading(10 * GIB, 0, 0), fixed_bytes=GIB, ledger=VramLedger(Path(sys.argv[1])))
print("ready", flush=True)
sys.stdin.readline()
try:
    held = manager.reserve(2 * GIB)
    print("admitted", flush=True)
except VramGuardError:
    print("refused", flush=True)
sys.stdin.readline()
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


@contextmanager
def another(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process that runs the script and then stays; killed at the end of the block."""
    process = start(script + '\nprint("done", flush=True)\nsys.stdin.readline()', *arguments)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def manager(folder: Path, reading: VramReading) -> VramManager:
    return VramManager(lambda: reading, fixed_bytes=GIB, ledger=VramLedger(folder))


def test_what_another_process_was_promised_and_does_not_hold_yet_is_not_free(tmp_path: Path) -> None:
    with another(PROMISES, tmp_path, 3 * GIB) as process:
        nothing_yet = manager(tmp_path, VramReading(10 * GIB, 0, 0))
        assert nothing_yet.available_bytes() == (7 - 3 - 1) * GIB
        with pytest.raises(VramGuardError):
            nothing_yet.reserve(4 * GIB)
        partly = manager(tmp_path, VramReading(10 * GIB, 2 * GIB, 0, {process.pid: 2 * GIB}))
        assert partly.available_bytes() == (7 - 3 - 1) * GIB
        more = manager(tmp_path, VramReading(10 * GIB, 4 * GIB, 0, {process.pid: 4 * GIB}))
        assert more.available_bytes() == (7 - 4 - 1) * GIB


def test_where_the_driver_hides_owners_promises_count_as_well(tmp_path: Path) -> None:
    with another(PROMISES, tmp_path, 3 * GIB):
        hidden = manager(tmp_path, VramReading(10 * GIB, GIB, None))
        assert hidden.available_bytes() == (7 - 3 - 1) * GIB


def test_a_process_that_dies_gives_its_promise_back(tmp_path: Path) -> None:
    vram = manager(tmp_path, VramReading(10 * GIB, 0, 0))
    with another(PROMISES, tmp_path, 5 * GIB):
        assert vram.available_bytes() == GIB
    assert vram.available_bytes() == 6 * GIB
    assert not [path for path in tmp_path.iterdir() if path.name.isdecimal()]


def test_processes_that_decide_at_once_do_not_go_over_the_guard(tmp_path: Path) -> None:
    """Each needs 3 of the 7 GiB below the guard, with its context: two get in, whoever is first."""
    racing = [start(COMPETES, tmp_path) for _ in range(4)]
    try:
        for process in racing:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in racing:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        answers = [process.stdout.readline().strip() for process in racing if process.stdout is not None]
    finally:
        for process in racing:
            process.kill()
            process.communicate()
    assert sorted(answers) == ["admitted", "admitted", "refused", "refused"]


def test_sessions_are_limited_over_all_processes(tmp_path: Path) -> None:
    stem = tmp_path / "nvenc-0"
    sessions = EncoderSessions(2, wait_s=0, slots=Slots(stem, 2))
    one = sessions.open(object)
    with another(TAKES, stem, 2), pytest.raises(EncoderBusyError):
        sessions.open(object)
    assert sessions.open_sessions == 1
    two = sessions.open(object)  # the other process has died
    one.close()
    two.close()
    assert sessions.open_sessions == 0
    sessions.open(object).close()


def test_a_session_waits_for_another_process(tmp_path: Path) -> None:
    stem = tmp_path / "nvenc-0"
    with another(TAKES, stem, 1) as process:
        threading.Timer(0.2, process.kill).start()
        session = EncoderSessions(1, wait_s=30, slots=Slots(stem, 1)).open(object)
    session.close()


def test_an_encoder_that_does_not_open_frees_its_slot(tmp_path: Path) -> None:
    slots = Slots(tmp_path / "nvenc-0", 1)
    sessions = EncoderSessions(1, wait_s=0, slots=slots)

    def broken() -> object:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        sessions.open(broken)
    assert sessions.open_sessions == 0
    assert slots.take() is not None
