"""The load of the cards as metrics: read in a thread of its own, since a driver in trouble may not answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from daemon.meters import Labels, Meters
from daemon.settle import Clock
from engines.nvml import CardLoad, CardWatch

_READ_EVERY_S = 2.0
_FRESH_S = 30.0  # what was read earlier is not true any more

_GAUGES = {
    "dualface_gpu_utilization_percent": "gpu_percent",
    "dualface_vram_used_bytes": "vram_used_bytes",
    "dualface_vram_total_bytes": "vram_total_bytes",
    "dualface_nvdec_utilization_percent": "nvdec_percent",
    "dualface_nvenc_utilization_percent": "nvenc_percent",
}

log = structlog.get_logger(__name__)


class CardMeters:
    """Keeps the gauges of the cards fresh, or takes them away."""

    def __init__(self, meters: Meters, clock: Clock) -> None:
        self._meters = meters
        self._clock = clock
        self._read_at = clock()
        self._end = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        threading.Thread(target=self._run, name="cards", daemon=True).start()
        try:
            yield
        finally:
            self._end.set()

    def expire(self) -> None:
        """Called from another thread now and then: take the gauges away where the driver has stopped to answer."""
        if self._clock() - self._read_at > _FRESH_S:
            self.show([])

    def show(self, loads: list[CardLoad]) -> None:
        for name, attribute in _GAUGES.items():
            values: dict[Labels, float | None] = {(str(load.index),): getattr(load, attribute) for load in loads}
            self._meters.replace(name, {labels: value for labels, value in values.items() if value is not None})
        self._meters.replace("dualface_gpu_info", {(str(load.index), load.name): 1.0 for load in loads})

    def _run(self) -> None:
        watch = CardWatch()
        while True:
            try:
                loads = watch.read()
            except Exception as error:  # NVMLError derives from Exception alone; the next reading may work
                log.debug("cards cannot be read", reason=str(error))
            else:
                self._read_at = self._clock()
                self.show(loads)
                if not loads:
                    return
            if self._end.wait(_READ_EVERY_S):
                return
