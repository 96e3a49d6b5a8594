"""One GPU for one process: all others are hidden from it before CUDA starts.

CUDA counts the GPUs it sees from 0, and whatever returns to "the current device" returns to number 0: with all GPUs
in sight, a job on GPU 1 would hold a context on GPU 0 as well, and fail with it.
"""

from __future__ import annotations

import os

from engines.errors import DeviceUnavailableError
from engines.settings import DeviceSettings

_VARIABLE = "CUDA_VISIBLE_DEVICES"
_seen: list[int] = []  # the number, for people, of the one GPU that is left in sight


def see_only(device: DeviceSettings) -> DeviceSettings:
    """Hide all GPUs but the one that the settings name, and name it as CUDA does from now on.

    GPU 0 needs nothing to be hidden. Call this before anything in the process uses CUDA.

    Raises:
        DeviceUnavailableError: there is no such GPU among those that the environment leaves in sight.
    """
    if device.backend == "cpu" or device.gpu == 0:
        return device
    in_sight = [name for name in os.environ.get(_VARIABLE, "").split(",") if name]
    if in_sight and device.gpu >= len(in_sight):
        raise DeviceUnavailableError(f"there is no CUDA device {device.gpu}: {_VARIABLE} names {len(in_sight)}")
    os.environ[_VARIABLE] = in_sight[device.gpu].strip() if in_sight else str(device.gpu)
    _seen[:] = [device.gpu]
    return device.on_gpu(0)


def number_of(ordinal: int) -> int:
    """The GPU's number in the settings, given CUDA's in this process."""
    return _seen[0] if _seen else ordinal
