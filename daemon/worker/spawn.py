"""Starts worker processes. It imports almost nothing, so that a command can start one before it loads the rest."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """A process that waits for an order on its standard input; ``messages`` is the descriptor of its answers."""

    process: subprocess.Popen[bytes]
    messages: int


_ahead: list[WorkerProcess] = []


def spawn_worker() -> WorkerProcess:
    """Start a worker. It loads the pipeline while it waits for its order, and ends with this process.

    Raises:
        OSError: no process can be started.
    """
    reading, writing = os.pipe()
    try:
        process = _spawn(writing)
    except OSError:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    return WorkerProcess(process, reading)


def start_ahead() -> None:
    """Start a worker before it is certain that one is needed."""
    with suppress(OSError):  # the caller that needs one sees the error
        _ahead.append(spawn_worker())


def take_ahead() -> WorkerProcess | None:
    """Return the worker that was started ahead; None if there is none."""
    return _ahead.pop() if _ahead else None


def _spawn(messages: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "daemon.worker.main", str(messages), str(os.getpid())]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=(messages,),
        # The stages run in parallel already; threads for linear algebra would only compete with them.
        env={"OPENBLAS_NUM_THREADS": "1", **_without_cluster(os.environ)},
        start_new_session=True,  # Ctrl-C on a terminal is for the service, which stops its workers itself
    )


def _without_cluster(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without the variables that say where the cluster's token is."""
    return {name: value for name, value in environment.items() if not name.startswith("RAY_")}
