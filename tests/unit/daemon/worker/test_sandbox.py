"""Limits of a worker process, each tried in a process of its own."""

from __future__ import annotations

import subprocess
import sys

PREPARE = """
import os, resource, socket, sys
from daemon.worker import sandbox
from daemon.config.settings import WorkerLimits
limits = WorkerLimits(open_files=64, file_bytes=2**20, address_space_bytes=2**29, cpu_s=1)
sandbox.leave_network()
sandbox.limit(limits, "cpu")
"""


def confined(script: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PREPARE + script]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_memory() -> None:
    done = confined("""
try:
    bytearray(2**30)
except MemoryError as error:
    print(sandbox.memory_ran_out(error), sandbox.memory_ran_out(ValueError()))
""")
    assert done.stdout.split() == ["True", "False"], done.stderr


def test_open_files() -> None:
    done = confined("files = [open('/dev/null') for _ in range(100)]")
    assert "Too many open files" in done.stderr


def test_file_size_ends_with_a_signal() -> None:
    assert confined("import tempfile; tempfile.TemporaryFile().truncate(2**21)").returncode == -25  # SIGXFSZ


def test_cpu_time_ends_with_a_signal() -> None:
    assert confined("while True: pass").returncode == -24  # SIGXCPU


def test_address_space_is_not_limited_where_a_gpu_may_be_used() -> None:
    script = PREPARE.replace('"cpu")', '"cuda")') + "print(resource.getrlimit(resource.RLIMIT_AS)[0])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "-1"
