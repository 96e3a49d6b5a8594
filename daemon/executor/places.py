"""How many workers this machine runs side by side, and on which of its GPUs."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Literal

from daemon.config.settings import Settings
from daemon.executor.protocol import Place
from daemon.worker.protocol import GPU

_CORES_PER_JOB = 4


def job_slots(settings: Settings) -> int:
    """Return how many jobs may run side by side on this machine."""
    if settings.workers.concurrent_jobs != "auto":
        return settings.workers.concurrent_jobs
    return max(1, len(os.sched_getaffinity(0)) // _CORES_PER_JOB)


def jobs_per_gpu(wanted: int | Literal["auto"], slots: int, gpus: int) -> int:
    """Return how many jobs one GPU may run at a time; "auto" spreads the machine's ``slots`` evenly."""
    return wanted if wanted != "auto" else math.ceil(slots / max(1, gpus))


def places_of(settings: Settings, node: str, gpus: Sequence[GPU], compute_class: str = "") -> tuple[Place, ...]:
    """Return the places of one machine.

    Args:
        gpus: those that work; empty if the work runs on the CPU.
    """
    slots = job_slots(settings)
    if not gpus:
        return (Place(node, None, slots, compute_class),)
    each = jobs_per_gpu(settings.device.jobs_per_card, slots, len(gpus))
    return tuple(Place(node, gpu, each, compute_class) for gpu in gpus)
