"""What the driver's management library says of the GPUs: a look from outside that needs no CUDA context.

As a program, ``python -m engines.nvml SECONDS`` prints the load of all GPUs as a line of JSON every so often, until
its standard output is closed; it ends at once where there are none. The library loads the driver into its process and
may hang with it, so a service lets this program look.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import structlog

T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class GPULoad:
    """One GPU at one moment; None where the GPU or its driver does not say.

    Attributes:
        index: NVML's number, which may differ from CUDA's.
    """

    index: int
    name: str
    gpu_percent: float | None
    vram_used_bytes: int | None
    vram_total_bytes: int | None
    nvdec_percent: float | None
    nvenc_percent: float | None


class GPUWatch:
    """Reads all GPUs. Without the driver or its Python package there are none."""

    def __init__(self) -> None:
        self._nvml: Any = None
        try:
            nvml = importlib.import_module("pynvml")
            nvml.nvmlInit()
        except Exception as error:  # no package, no driver: NVMLError derives from Exception alone
            log.debug("no GPUs to watch", reason=str(error))
        else:
            self._nvml = nvml

    def read(self) -> list[GPULoad]:
        """The load of each GPU. May take long where a driver is in trouble."""
        if self._nvml is None:
            return []
        return [self._gpu(index) for index in range(self._ask(self._nvml.nvmlDeviceGetCount) or 0)]

    def _gpu(self, index: int) -> GPULoad:
        nvml = self._nvml
        gpu = nvml.nvmlDeviceGetHandleByIndex(index)
        load = self._ask(lambda: nvml.nvmlDeviceGetUtilizationRates(gpu))
        memory = self._ask(lambda: nvml.nvmlDeviceGetMemoryInfo(gpu))
        decoder = self._ask(lambda: nvml.nvmlDeviceGetDecoderUtilization(gpu))
        encoder = self._ask(lambda: nvml.nvmlDeviceGetEncoderUtilization(gpu))
        return GPULoad(
            index=index,
            name=str(self._ask(lambda: nvml.nvmlDeviceGetName(gpu)) or "unknown"),
            gpu_percent=float(load.gpu) if load else None,
            vram_used_bytes=int(memory.used) if memory else None,
            vram_total_bytes=int(memory.total) if memory else None,
            nvdec_percent=float(decoder[0]) if decoder else None,
            nvenc_percent=float(encoder[0]) if encoder else None,
        )

    def _ask(self, question: Callable[[], T]) -> T | None:
        try:
            return question()
        except self._nvml.NVMLError:
            return None


def main() -> None:
    """Entry point: ``python -m engines.nvml SECONDS``."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    watch, every_s = GPUWatch(), float(sys.argv[1])
    with suppress(BrokenPipeError):
        while loads := watch.read():
            os.write(1, json.dumps([asdict(load) for load in loads]).encode() + b"\n")
            time.sleep(every_s)


if __name__ == "__main__":
    main()
