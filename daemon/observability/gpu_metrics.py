"""The load of the GPUs as metrics: read by a program of its own, as a driver in trouble takes its callers along."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import structlog

from daemon.clock import Clock
from daemon.observability.registry import Labels, Meters
from engines.nvml import GPULoad

_PROGRAM = (sys.executable, "-m", "engines.nvml", "2.0")
_FRESH_S = 30.0  # what was read earlier is not true any more
_AGAIN_S = 60.0  # until the program is started again after it died

_GAUGES = {
    "dualface_gpu_utilization_percent": "gpu_percent",
    "dualface_vram_used_bytes": "vram_used_bytes",
    "dualface_vram_total_bytes": "vram_total_bytes",
    "dualface_nvdec_utilization_percent": "nvdec_percent",
    "dualface_nvenc_utilization_percent": "nvenc_percent",
}

log = structlog.get_logger(__name__)


class GPUMeters:
    """Keeps the gauges of the GPUs fresh, or takes them away. ``program``: what prints their load."""

    def __init__(self, meters: Meters, clock: Clock, program: Sequence[str] = _PROGRAM) -> None:
        self._meters = meters
        self._clock = clock
        self._command = program
        self._read_at = clock()
        self._end = threading.Event()
        self._program: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        threading.Thread(target=self._run, name="cards", daemon=True).start()
        try:
            yield
        finally:
            self._end.set()
            if self._program is not None:
                self._program.kill()

    def expire(self) -> None:
        """Called from another thread now and then: take the gauges away where the driver has stopped to answer."""
        if self._clock() - self._read_at > _FRESH_S:
            self.show([])

    def show(self, loads: list[GPULoad]) -> None:
        for name, attribute in _GAUGES.items():
            values: dict[Labels, float | None] = {(str(load.index),): getattr(load, attribute) for load in loads}
            self._meters.replace(name, {labels: value for labels, value in values.items() if value is not None})
        self._meters.replace("dualface_gpu_info", {(str(load.index), load.name): 1.0 for load in loads})

    def _run(self) -> None:
        """Listen to the program; where it ends by itself there are no GPUs, where it dies the driver is in trouble."""
        while not self._end.is_set():
            try:
                status = self._listen()
            except (OSError, ValueError, TypeError) as error:
                log.warning("GPUs cannot be watched", reason=str(error), remedy="Nothing to do for the work itself.")
                return
            if status == 0 or self._end.wait(_AGAIN_S):
                return

    def _listen(self) -> int:
        with subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as self._program:
            for line in self._program.stdout or ():
                self._read_at = self._clock()
                self.show([GPULoad(**load) for load in json.loads(line)])
            return self._program.wait()
