"""The interface between the service and what runs its workers, and how a worker ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import structlog

from daemon.config.settings import Settings
from daemon.worker.protocol import GPU, Ending, Note, Order
from pipeline.job import Progress
from pipeline.telemetry.counters import StatsDelta

PlaceKey: TypeAlias = tuple[str, int | None]
OnNote: TypeAlias = Callable[[str, Note], None]
OnStats: TypeAlias = Callable[[str, StatsDelta], None]


@dataclass(frozen=True, slots=True)
class Died:
    """The process ended without a result.

    Attributes:
        signal_name: "" if it exited by itself.
        last_output: the last lines that it printed besides log lines; C++ libraries print the cause of an abort there.
        may_still_run: nobody has seen its end, since its node is lost: it may go on there. The job's directory has to
            be moved before anybody works on it again.
    """

    signal_name: str
    exit_status: int
    last_output: str = ""
    may_still_run: bool = False


@dataclass(frozen=True, slots=True)
class Stalled:
    """The process made no progress for too long and was killed."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Overdue:
    """The process exceeded its time limit and was killed."""


Outcome: TypeAlias = Ending | Died | Stalled | Overdue


@dataclass(frozen=True, slots=True)
class Place:
    """Where workers run: one GPU of a node, or the CPU of a node without GPUs.

    Attributes:
        node: the host's name.
        gpu: its GPU; None on the CPU.
        slots: workers that may run there side by side.
        compute_class: names the hardware and software that give the same packets; "" where that is not known.
    """

    node: str
    gpu: GPU | None = None
    slots: int = 1
    compute_class: str = ""

    @property
    def key(self) -> PlaceKey:
        """What stays the same when the number of slots changes: the node, and CUDA's number of the GPU."""
        return self.node, None if self.gpu is None else self.gpu.index


@dataclass(frozen=True, slots=True)
class Node:
    """A host of a cluster.

    Attributes:
        state: "ready"; "other_share" if it does not see this share; "other_root" if it has the share at another path.
        device: in words.
        compute_classes: of its places.
        places: where workers may run on it; empty if it cannot be used.
    """

    name: str
    state: str
    device: str = ""
    compute_classes: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()


class Executor(Protocol):
    """Runs worker processes, each for one order. Nothing here blocks.

    Attributes:
        on_note: called by ``poll`` with a job and a note of its worker.
    """

    on_note: OnNote

    def __len__(self) -> int:
        """Return the number of running workers."""

    def __contains__(self, job: str) -> bool:
        """Whether a worker runs under this name."""

    def apply(self, settings: Settings) -> None:
        """Take over changed settings; limits of time hold for workers that run, too."""

    @property
    def places(self) -> Sequence[Place]:
        """Where workers may run now; it changes when settings change, and when nodes come and go."""

    @property
    def slots(self) -> int:
        """How many workers may run side by side in all places."""

    @property
    def nodes(self) -> Sequence[Node]:
        """The hosts of the cluster, also those that cannot be used; none without a cluster."""

    def room(self, place: Place) -> int:
        """Return how many more workers may start at a place now."""

    def workers_on(self, node: str) -> int:
        """Return how many workers take a slot of a host."""

    def place_of(self, job: str) -> Place | None:
        """Return where a job's worker runs; None if there is none, or if it runs beside the jobs of this machine."""

    def start(
        self,
        job: str,
        order: Order,
        worker_log: structlog.stdlib.BoundLogger,
        *,
        place: Place | None = None,
        takes_slot: bool = True,
        longest_s: float = math.inf,
    ) -> None:
        """Start a worker for one order; it is killed after ``longest_s`` seconds.

        Args:
            place: one with room; None for short work beside the jobs, which runs on this machine and takes no slot.
            takes_slot: False for a worker that runs at a place beside one that leaves its slot idle.

        Raises:
            OSError: no process can be started there.
        """

    def progress(self, job: str) -> Progress | None:
        """Return the last progress of a job's worker; None if there is none."""

    def tell(self, job: str, note: Note) -> None:
        """Send a note to a running worker, after its order. A worker that has ended does not get it."""

    def stop(self, job: str) -> None:
        """Ask a worker to checkpoint and stop."""

    def stop_all(self) -> None:
        """Ask all workers to checkpoint and stop."""

    def kill(self, job: str) -> None:
        """End a worker at once; ``poll`` reports its end."""

    def kill_all(self) -> None:
        """End all workers at once; ``poll`` reports their ends."""

    def poll(self) -> Iterator[tuple[str, Outcome]]:
        """Handle the messages of all workers; yield each job whose worker has ended, with its outcome."""

    def close(self) -> None:
        """Give back what the executor holds; workers that still run end."""
