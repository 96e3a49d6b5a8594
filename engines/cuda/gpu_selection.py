"""Which GPUs the settings name, and how a process comes to see one of them alone.

CUDA counts the GPUs that it sees from 0, and what returns to "the current device" returns to number 0. With all GPUs
visible, a job on GPU 1 would hold a context on GPU 0 as well, and fail with it. So all others are hidden before CUDA
starts. This module loads no library but CUDA's, and that only to count GPUs.
"""

from __future__ import annotations

import importlib
import os

from engines.errors import NoSuchGPUError
from engines.settings import DeviceSettings

_VARIABLE = "CUDA_VISIBLE_DEVICES"
_seen: list[int] = []  # the number, for people, of the one GPU that is left visible


def named_gpus(device: DeviceSettings) -> tuple[int, ...]:
    """Return the numbers of the GPUs that the settings name.

    For auto these are all that CUDA finds, or 0 if it finds none: opening that one says why.
    """
    if device.gpus or device.backend == "cpu":
        return device.gpus or (0,)
    return tuple(range(_count())) or (0,)


def see_only(device: DeviceSettings) -> DeviceSettings:
    """Hide all GPUs but the first that the settings name; return settings that name it as CUDA now does.

    Nothing is hidden for GPU 0. Call this before anything in the process uses CUDA.

    Raises:
        NoSuchGPUError: the environment leaves no such GPU visible.
    """
    if device.backend == "cpu" or device.gpu == 0:
        return device
    visible = [name for name in os.environ.get(_VARIABLE, "").split(",") if name]
    if visible and device.gpu >= len(visible):
        raise NoSuchGPUError(f"there is no CUDA device {device.gpu}: {_VARIABLE} names {len(visible)}")
    os.environ[_VARIABLE] = visible[device.gpu].strip() if visible else str(device.gpu)
    _seen[:] = [device.gpu]
    return device.on_gpu(0)


def settings_number(ordinal: int) -> int:
    """Return a GPU's number in the settings, given its number in CUDA in this process."""
    return _seen[0] if _seen else ordinal


def _count() -> int:
    """Return how many GPUs CUDA sees; none if it does not start."""
    try:
        return int(importlib.import_module("cupy").cuda.runtime.getDeviceCount())
    except Exception:  # no CuPy, no driver, no GPU: CuPy's errors for these have no common base
        return 0
