"""One card for one process: all others are hidden from it before CUDA starts.

CUDA counts the cards it sees from 0, and whatever returns to "the current device" returns to number 0: with all cards
in sight, a job on card 1 would hold a context on card 0 as well, and fail with it.
"""

from __future__ import annotations

import os

from engines.errors import DeviceUnavailableError
from engines.settings import DeviceSettings

_VARIABLE = "CUDA_VISIBLE_DEVICES"
_seen: list[int] = []  # the number, for people, of the one card that is left in sight


def see_only(device: DeviceSettings) -> DeviceSettings:
    """Hide all cards but the one that the settings name, and name it as CUDA does from now on.

    Card 0 needs nothing to be hidden. Call this before anything in the process uses CUDA.

    Raises:
        DeviceUnavailableError: there is no such card among those that the environment leaves in sight.
    """
    if device.backend == "cpu" or device.card == 0:
        return device
    in_sight = [name for name in os.environ.get(_VARIABLE, "").split(",") if name]
    if in_sight and device.card >= len(in_sight):
        raise DeviceUnavailableError(f"there is no CUDA device {device.card}: {_VARIABLE} names {len(in_sight)}")
    os.environ[_VARIABLE] = in_sight[device.card].strip() if in_sight else str(device.card)
    _seen[:] = [device.card]
    return device.on_card(0)


def number_of(ordinal: int) -> int:
    """The card's number in the settings, given CUDA's in this process."""
    return _seen[0] if _seen else ordinal
