"""Which GPU does which job: pure decisions, from the GPUs that worked at the start and the jobs that run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from daemon.worker.protocol import GPU


def jobs_per_card(wanted: int | Literal["auto"], slots: int, gpus: int) -> int:
    """Most jobs that one GPU does at a time; auto spreads the service's ``slots`` evenly."""
    return wanted if wanted != "auto" else math.ceil(slots / max(1, gpus))


def has_room(gpus: Sequence[GPU], busy: Sequence[int | None], most: int) -> bool:
    """Whether one more job can start; without GPUs (the work runs on the CPU) the slots alone decide.

    Args:
        busy: the GPU of each running job, None where it has none.
        most: jobs that one GPU may do.
    """
    return not gpus or bool(_open_gpus(gpus, busy, most))


def place(gpus: Sequence[GPU], busy: Sequence[int | None], most: int, avoid_gpu: int | None = None) -> int | None:
    """The number of the GPU with the most free slots, then the most memory; None without GPUs.

    Args:
        busy, most: see ``has_room``.
        shunned: the GPU where the job ended badly before: any other with room is taken instead.
    """
    free = _open_gpus(gpus, busy, most)
    if not free:
        return None
    return min(free, key=lambda gpu: (gpu.index == avoid_gpu, busy.count(gpu.index), -gpu.free_bytes)).index


def _open_gpus(gpus: Sequence[GPU], busy: Sequence[int | None], most: int) -> list[GPU]:
    return [gpu for gpu in gpus if busy.count(gpu.index) < most]
