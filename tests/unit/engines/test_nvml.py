"""What is read of GPUs through NVML, and what follows where there is none."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from engines import nvml
from engines.errors import DeviceUnavailableError


class NVMLError(Exception):
    pass


def fails(*_: Any) -> None:
    raise NVMLError("Not Supported")


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """NVML with one GPU, which has no encoder."""
    mine = SimpleNamespace(pid=os.getpid(), usedGpuMemory=30)
    hidden = SimpleNamespace(pid=1, usedGpuMemory=None)
    library = SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlSystemGetDriverVersion=lambda: "580.1",
        nvmlSystemGetCudaDriverVersion=lambda: 13010,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetHandleByPciBusId=lambda bus_id: 0 if bus_id == b"0000:65:00.0" else fails(),
        nvmlDeviceGetName=lambda gpu: "NVIDIA H200",
        nvmlDeviceGetCudaComputeCapability=lambda gpu: (9, 0),
        nvmlDeviceGetMemoryInfo=lambda gpu: SimpleNamespace(total=100, used=40),
        nvmlDeviceGetUtilizationRates=lambda gpu: SimpleNamespace(gpu=97),
        nvmlDeviceGetDecoderUtilization=lambda gpu: (55, 1000),
        nvmlDeviceGetEncoderUtilization=fails,
        nvmlDeviceGetComputeRunningProcesses=lambda gpu: [mine, hidden],
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    return library


def test_a_gpu_is_described_and_its_load_read(library: SimpleNamespace) -> None:
    assert nvml.describe_gpus() == [nvml.GPUDescription(0, "NVIDIA H200", "580.1", "9.0", 100, 40)]
    assert nvml.GPUWatch().read() == [nvml.GPULoad(0, "NVIDIA H200", 97.0, 40, 100, 55.0, None)]
    assert nvml.cuda_version() == "13.1"


def test_memory_is_read_with_what_each_process_holds(library: SimpleNamespace) -> None:
    assert nvml.vram_reader("0000:65:00.0")() == nvml.VramReading(100, 40, 30, {os.getpid(): 30})
    with pytest.raises(DeviceUnavailableError, match="does not know the GPU 0000:01:00"):
        nvml.vram_reader("0000:01:00.0")


def test_without_a_driver_there_are_no_gpus(library: SimpleNamespace) -> None:
    library.nvmlInit = fails
    assert nvml.describe_gpus() == nvml.GPUWatch().read() == []
    with pytest.raises(DeviceUnavailableError, match="NVML does not start: Not Supported"):
        nvml.vram_reader("0000:65:00.0")
