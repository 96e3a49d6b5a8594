"""The load of the GPUs as metrics. A separate program reads it, as a faulty driver may crash or block its callers."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import structlog

from daemon.clock import Clock
from daemon.observability.registry import Labels, MetricsRegistry
from engines.nvml import GPULoad

_PROGRAM = (sys.executable, "-m", "engines.nvml", "2.0")
_VALID_S = 30.0  # after the last reading
_RESTART_S = 60.0  # after the program has died

_GAUGES = {
    "dualface_gpu_utilization_percent": "gpu_percent",
    "dualface_vram_used_bytes": "vram_used_bytes",
    "dualface_vram_total_bytes": "vram_total_bytes",
    "dualface_nvdec_utilization_percent": "nvdec_percent",
    "dualface_nvenc_utilization_percent": "nvenc_percent",
}

log = structlog.get_logger(__name__)


class GPUMetrics:
    """Updates the gauges of the GPUs, or removes them while the driver does not answer.

    Args:
        program: the command that prints the load of all GPUs.
    """

    def __init__(self, metrics: MetricsRegistry, clock: Clock, program: Sequence[str] = _PROGRAM) -> None:
        self._metrics = metrics
        self._clock = clock
        self._command = program
        self._read_at = clock()
        self._end = threading.Event()
        self._program: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Update the gauges while the context is open."""
        threading.Thread(target=self._run, name="gpus", daemon=True).start()
        try:
            yield
        finally:
            self._end.set()
            if self._program is not None:
                self._program.kill()

    def expire(self) -> None:
        """Remove the gauges if the driver has stopped answering. The service's loop calls this."""
        if self._clock() - self._read_at > _VALID_S:
            self.show([])

    def show(self, loads: list[GPULoad]) -> None:
        """Set the gauges to the loads of all GPUs."""
        for name, attribute in _GAUGES.items():
            values: dict[Labels, float | None] = {(str(load.index),): getattr(load, attribute) for load in loads}
            self._metrics.replace(name, {labels: value for labels, value in values.items() if value is not None})
        self._metrics.replace("dualface_gpu_info", {(str(load.index), load.name): 1.0 for load in loads})

    def _run(self) -> None:
        """Read the program's output. With exit status 0 there are no GPUs; otherwise the driver is faulty."""
        while not self._end.is_set():
            try:
                status = self._read_program()
            except (OSError, ValueError, TypeError) as error:
                log.warning("GPUs cannot be watched", reason=str(error), remedy="Nothing to do for the work itself.")
                return
            if status == 0 or self._end.wait(_RESTART_S):
                return

    def _read_program(self) -> int:
        with subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as self._program:
            for line in self._program.stdout or ():
                self._read_at = self._clock()
                self.show([GPULoad(**load) for load in json.loads(line)])
            return self._program.wait()
