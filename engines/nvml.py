"""Describe the GPUs and read their load through the driver's management library (NVML), without a CUDA context.

Only this module uses pynvml.

As a program, ``python -m engines.nvml SECONDS`` prints the load of all GPUs as a line of JSON at this interval, until
its standard output is closed; it ends at once if there are none. NVML loads the driver into its process and may
hang with it, so the service runs it as a separate program.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import structlog

from engines.errors import DeviceUnavailableError

T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class GPUDescription:
    """A GPU: what it is, and its memory. ``index`` is NVML's number, which may differ from CUDA's."""

    index: int
    name: str
    driver: str
    compute_capability: str
    vram_total_bytes: int
    vram_used_bytes: int


@dataclass(frozen=True, slots=True)
class GPULoad:
    """One GPU at one moment; None for values that the GPU or its driver does not report.

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


@dataclass(frozen=True, slots=True)
class VramReading:
    """A GPU's memory at one moment.

    Attributes:
        own_bytes: memory of this process; None if the driver hides it.
        by_process: memory of each process in bytes, by process id, as far as the driver reports it.
    """

    total_bytes: int
    used_bytes: int
    own_bytes: int | None = None
    by_process: Mapping[int, int] = field(default_factory=dict)


ReadVram = Callable[[], VramReading]


def describe_gpus() -> list[GPUDescription]:
    """Return all GPUs that NVML sees; none without a driver or its Python package."""
    try:
        nvml = _opened()
    except DeviceUnavailableError as error:
        log.debug("no GPUs", reason=error.message)
        return []
    driver = nvml.nvmlSystemGetDriverVersion()
    return [_described(nvml, index, driver) for index in range(nvml.nvmlDeviceGetCount())]


def cuda_version() -> str:
    """Return the newest version of CUDA that the driver supports, "13.0".

    Raises:
        DeviceUnavailableError: there is no driver.
    """
    number = int(_opened().nvmlSystemGetCudaDriverVersion())
    return f"{number // 1000}.{number % 1000 // 10}"


def vram_reader(pci_bus_id: str) -> ReadVram:
    """Return a function that reads a GPU's memory; a reading takes about a tenth of a millisecond.

    Args:
        pci_bus_id: as CUDA gives it, "0000:65:00.0"; NVML numbers GPUs in another order.

    Raises:
        DeviceUnavailableError: NVML does not start, or does not know the GPU.
    """
    nvml = _opened()
    try:
        gpu = nvml.nvmlDeviceGetHandleByPciBusId(pci_bus_id.encode())
    except Exception as error:  # NVMLError derives from Exception alone
        raise DeviceUnavailableError(f"NVML does not know the GPU {pci_bus_id}: {error}") from error

    def read() -> VramReading:
        memory = nvml.nvmlDeviceGetMemoryInfo(gpu)
        by_process = _bytes_by_process(nvml, gpu)
        return VramReading(int(memory.total), int(memory.used), by_process.get(os.getpid()), by_process)

    return read


class GPUWatch:
    """Reads the load of all GPUs. Without the driver or its Python package there are none."""

    def __init__(self) -> None:
        self._nvml: Any = None
        try:
            self._nvml = _opened()
        except DeviceUnavailableError as error:
            log.debug("no GPUs to watch", reason=error.message)

    def read(self) -> list[GPULoad]:
        """Return the load of each GPU. May take long while a driver is in trouble."""
        if self._nvml is None:
            return []
        return [self._load(index) for index in range(self._ask(self._nvml.nvmlDeviceGetCount) or 0)]

    def _load(self, index: int) -> GPULoad:
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


def _opened() -> Any:
    """Return the library, ready for use.

    Raises:
        DeviceUnavailableError: there is no package, or no driver that works.
    """
    try:
        nvml = importlib.import_module("pynvml")
        nvml.nvmlInit()
    except Exception as error:  # as above
        raise DeviceUnavailableError(f"NVML does not start: {error}") from error
    return nvml


def _described(nvml: Any, index: int, driver: str) -> GPUDescription:
    gpu = nvml.nvmlDeviceGetHandleByIndex(index)
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(gpu)
    memory = nvml.nvmlDeviceGetMemoryInfo(gpu)
    name = nvml.nvmlDeviceGetName(gpu)
    return GPUDescription(index, name, driver, f"{major}.{minor}", int(memory.total), int(memory.used))


def _bytes_by_process(nvml: Any, gpu: Any) -> dict[int, int]:
    processes = nvml.nvmlDeviceGetComputeRunningProcesses(gpu)
    return {int(p.pid): int(p.usedGpuMemory) for p in processes if p.usedGpuMemory is not None}


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
