"""Which job starts when and where: slots, priorities, start conditions and GPUs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from daemon.config.settings import Settings
from daemon.jobs import attempts, fault_policy, gpu_placement
from daemon.jobs.held_jobs import HeldJob
from daemon.jobs.job_spec import job_slots
from daemon.jobs.manifest import JobState
from daemon.service.job_overview import JobOverview
from daemon.worker.protocol import GPU

_STARTS_AT_ONCE = 8  # files that cannot be claimed must not hold up the loop
_HELD_BEYOND_SLOTS = 16  # claimed jobs that may wait (such as for space) before further files stay in the inboxes


class Dispatcher:
    """Starts jobs while there is room for them.

    Args:
        gpus: those that opened at the service's start; empty if the work runs on the CPU.
        start: starts an attempt of a job, on a GPU or without one.
        claim: claims the next file of the inboxes; returns False if there is none.
    """

    def __init__(
        self,
        settings: Settings,
        jobs: JobOverview,
        gpus: Sequence[GPU],
        *,
        start: Callable[[HeldJob, GPU | None], None],
        claim: Callable[[], bool],
    ) -> None:
        self._jobs = jobs
        self._gpus = gpus
        self._start = start
        self._claim = claim
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Use other settings for the jobs that start from now on."""
        self._slots = job_slots(settings)
        self._jobs_per_gpu = gpu_placement.jobs_per_gpu(settings.device.jobs_per_card, self._slots, len(self._gpus))

    @property
    def slots(self) -> int:
        """Jobs that may run side by side."""
        return min(self._slots, len(self._gpus) * self._jobs_per_gpu) if self._gpus else self._slots

    def start_jobs(self, *, may_start: bool, may_claim: bool = True, may_resume: bool = False) -> None:
        """Start as many jobs as there is room for, a few in one call.

        Args:
            may_start: whether claimed jobs may start.
            may_claim: whether files may be claimed, too.
            may_resume: whether jobs that were interrupted for lack of space may go on even if others may not start.
        """
        for _ in range(_STARTS_AT_ONCE):
            may = may_start or (may_resume and any(held.lacks_space for held in self._jobs.waiting()))
            if not (may and self._has_room() and self._start_one(may_start=may_start, may_claim=may_claim)):
                break

    def _has_room(self) -> bool:
        if self._jobs.workers >= self._slots or self._one_runs_alone():
            return False
        degraded, gpus = self._degraded(), self._usable_gpus()
        if None in degraded or (self._gpus and not gpus):
            return False
        return gpu_placement.has_room(gpus, self._busy(), self._jobs_per_gpu)

    def _start_one(self, *, may_start: bool, may_claim: bool) -> bool:
        """Start the next claimed job, or else claim a file; return False if there was nothing to do."""
        queued = [held for held in self._jobs.waiting() if held.job.manifest.state is JobState.QUEUED and held.due]
        queued = [held for held in queued if may_start or held.lacks_space]
        if not queued:
            return may_claim and len(self._jobs) < self._slots + _HELD_BEYOND_SLOTS and self._claim()
        chosen = min(queued, key=lambda held: (-held.job.manifest.priority, held.job.manifest.claimed_at_s))
        if _runs_alone(chosen) and self._jobs.workers:
            return False
        self._start(chosen, self._gpu_for(chosen))
        return True

    def _gpu_for(self, held: HeldJob) -> GPU | None:
        avoid_gpu = fault_policy.gpu_to_avoid(held.job.manifest.gpu, held.code)
        index = gpu_placement.place(self._usable_gpus(), self._busy(), self._jobs_per_gpu, avoid_gpu)
        return next((gpu for gpu in self._gpus if gpu.index == index), None)

    def _usable_gpus(self) -> list[GPU]:
        degraded = self._degraded()
        return [gpu for gpu in self._gpus if gpu.index not in degraded]

    def _degraded(self) -> set[int | None]:
        return gpu_placement.degraded_gpus((held.job.manifest.gpu, progress) for held, progress in self._jobs.running())

    def _busy(self) -> list[int | None]:
        return [held.job.manifest.gpu for held, _ in self._jobs.running()]

    def _one_runs_alone(self) -> bool:
        return any(_runs_alone(held) for held, _ in self._jobs.running())


def _runs_alone(held: HeldJob) -> bool:
    return fault_policy.runs_alone(attempts.counts(held.job.manifest))
