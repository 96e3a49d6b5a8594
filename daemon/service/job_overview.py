"""Which of the held jobs have a worker, and which wait for one."""

from __future__ import annotations

from collections.abc import Iterator

from daemon.executor.protocol import Executor, Place
from daemon.jobs.held_jobs import HeldJob, HeldJobs
from daemon.status.model import NodeLine
from pipeline.job import Progress

COMPARISON = "comparison of parts"  # the id of the worker that compares parts, beside those of jobs


class JobOverview:
    """The held jobs with the progress of their workers."""

    def __init__(self, held: HeldJobs, executor: Executor) -> None:
        self._held = held
        self._executor = executor

    def __len__(self) -> int:
        """Return the number of jobs that are neither delivered nor failed yet."""
        return len(self._held)

    def running(self) -> Iterator[tuple[HeldJob, Progress | None]]:
        """Yield the jobs that have a worker, each with the last progress that its worker has sent."""
        for held in self._held:
            if held.job.id in self._executor:
                yield held, self._executor.progress(held.job.id)

    @property
    def workers(self) -> int:
        """Workers of jobs, also of jobs that are no longer held and whose worker has not ended yet."""
        return len(self._executor) - (COMPARISON in self._executor)

    def placed(self) -> Iterator[tuple[Place, Progress | None]]:
        """Yield the place and the last progress of each running job."""
        for held, progress in self.running():
            if place := self._executor.place_of(held.job.id):
                yield place, progress

    def nodes(self) -> Iterator[NodeLine]:
        """Yield the hosts of the cluster with the number of workers on each; none without a cluster."""
        for node in self._executor.nodes:
            slots = sum(place.slots for place in node.places)
            workers = self._executor.workers_on(node.name)
            yield NodeLine(node.name, node.state, node.device, list(node.compute_classes), workers, slots)

    def waiting(self) -> Iterator[HeldJob]:
        """Yield the jobs that have no worker."""
        for held in self._held:
            if held.job.id not in self._executor:
                yield held

    def lacking_space(self) -> Iterator[tuple[str, str]]:
        """Yield, for each job that waits for disk space, since when it waits and what is lacking."""
        for held, progress in self.running():
            if progress and progress.stage == "space":
                yield held.since, progress.lacks
        yield from ((held.since, held.reason) for held in self.waiting() if held.lacks_space)
