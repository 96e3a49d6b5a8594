"""The network of an unprivileged process: only local sockets are left, in every thread and child."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

TRY = """
import errno, socket, subprocess, sys, threading
def attempt(kind, family):
    try:
        socket.socket(family)
    except OSError as error:
        print(kind, errno.errorcode[error.errno])
    else:
        print(kind, "open")
def attempts(where):
    attempt(where + " local", socket.AF_UNIX)
    attempt(where + " IPv4", socket.AF_INET)
    attempt(where + " IPv6", socket.AF_INET6)
"""
AFTERWARDS = """
attempts("main")
thread = threading.Thread(target=attempts, args=["thread"]); thread.start(); thread.join()
"""
IN_A_CHILD = """
child = "import socket; socket.socket(socket.AF_UNIX); socket.socket(socket.AF_INET)"
print(subprocess.run([sys.executable, "-c", child], capture_output=True, text=True).stderr.splitlines()[-1])
"""
REFUSED = [
    "main local open", "main IPv4 EAFNOSUPPORT", "main IPv6 EAFNOSUPPORT",
    "thread local open", "thread IPv4 EAFNOSUPPORT", "thread IPv6 EAFNOSUPPORT",
]  # fmt: skip


def run(script: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", TRY + script], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_only_local_sockets_are_left() -> None:
    assert run("attempts('main')") == ["main local open", "main IPv4 open", "main IPv6 open"]
    found = run("from daemon.worker import seccomp; seccomp.only_local_sockets()" + AFTERWARDS + IN_A_CHILD)
    assert found == [*REFUSED, "OSError: [Errno 97] Address family not supported by protocol"]


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_a_worker_without_privileges_loses_the_network_too() -> None:
    become_nobody = (
        "import os; from daemon.worker import sandbox; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
    )
    assert run(become_nobody + "sandbox.leave_network()" + AFTERWARDS) == REFUSED
