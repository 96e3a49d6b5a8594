"""Ray's processes on this host, as children of this one.

``ray stop`` is never called: it would end every Ray process of the host, also those of others.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import structlog

from daemon.cluster.errors import JoinError
from daemon.executor.ray_environment import port_options, variables

_STORE_BYTES = 80 * 2**20  # Ray's least; nothing large goes through it
_LAST_LINES = 8

log = structlog.get_logger(__name__)


class RayProcess:
    """``ray start --block``, which ends when one of Ray's processes on this host ends.

    Attributes:
        stopping: set once a stop is requested, which may be before Ray runs.
    """

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None

    def stop(self) -> None:
        """Ask it to end."""
        self.stopping.set()
        if self._child is not None:
            self._child.terminate()

    def run(
        self, place: Sequence[str], *, port: int, folder: Path, token_file: Path, labels: Mapping[str, str]
    ) -> None:
        """Run it until it ends.

        Args:
            place: options that name the head, or make this host the head.
            port: first of its ports.
            folder: for sockets and logs.
            labels: by which the service finds this node.

        Raises:
            JoinError: it has ended by itself.
        """
        command = [
            *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block"),
            *place,
            *port_options(port),
            "--disable-usage-stats",
            "--include-log-monitor=false",
            "--num-cpus=0",
            "--num-gpus=0",
            f"--object-store-memory={_STORE_BYTES}",
            f"--temp-dir={folder}",
            f"--labels={','.join(f'{name}={value}' for name, value in labels.items())}",
        ]
        environment = {**os.environ, **variables(token_file)}
        with tempfile.TemporaryFile() as output:
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
            )
            if self.stopping.is_set():
                self._child.terminate()
            status = self._child.wait()
            if self.stopping.is_set():
                return
            output.seek(0)
            lines = output.read().decode(errors="replace").strip().splitlines() or ["no output"]
        log.error("Ray's processes ended", status=status, output=json.dumps(lines[-_LAST_LINES:]))
        raise JoinError(f"Ray's processes ended with status {status}: {lines[-1]}")


@contextmanager
def ray_process() -> Iterator[RayProcess]:
    """Yield a process that is not started yet; SIGTERM and SIGINT stop it."""
    process = RayProcess()

    def handle(_number: int, _frame: FrameType | None) -> None:
        process.stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield process
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
