"""Which GPU a job gets: pure decisions, from the GPUs that opened at the start and the jobs that run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

from daemon.worker.protocol import GPU
from pipeline.job import Progress


def jobs_per_gpu(wanted: int | Literal["auto"], slots: int, gpus: int) -> int:
    """Return how many jobs one GPU may run at a time; "auto" spreads the service's ``slots`` evenly."""
    return wanted if wanted != "auto" else math.ceil(slots / max(1, gpus))


def has_room(gpus: Sequence[GPU], busy: Sequence[int | None], most: int) -> bool:
    """Return whether one more job can start; always true without GPUs, when the work runs on the CPU.

    Args:
        busy: the GPU of each running job, None if it has none.
        most: jobs that one GPU may run at a time.
    """
    return not gpus or bool(_open_gpus(gpus, busy, most))


def place(gpus: Sequence[GPU], busy: Sequence[int | None], most: int, avoid_gpu: int | None = None) -> int | None:
    """Return the number of the GPU with the fewest jobs, then the most memory; None without GPUs.

    Args:
        busy, most: see ``has_room``.
        avoid_gpu: taken only if no other GPU has room.
    """
    free = _open_gpus(gpus, busy, most)
    if not free:
        return None
    return min(free, key=lambda gpu: (gpu.index == avoid_gpu, busy.count(gpu.index), -gpu.free_bytes)).index


def degraded_gpus(running: Iterable[tuple[int | None, Progress | None]]) -> set[int | None]:
    """Return the GPUs on which no further job may start, because a job there runs below the normal level.

    Args:
        running: the GPU and the progress of each running job.

    Returns:
        Numbers of GPUs; None stands for the whole host, as when a job waits for disk space.
    """
    known = [(gpu, progress) for gpu, progress in running if progress is not None]
    below_normal = {gpu for gpu, p in known if p.level != "normal" and p.trip != "decoder_errors"}
    return below_normal | {None for _, p in known if p.stage == "space"}


def _open_gpus(gpus: Sequence[GPU], busy: Sequence[int | None], most: int) -> list[GPU]:
    return [gpu for gpu in gpus if busy.count(gpu.index) < most]
