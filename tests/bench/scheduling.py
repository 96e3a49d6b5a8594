"""Simulates how well many workers are kept busy: parts and files sleep, the code that hands them out is the real one.

    python -m tests.bench.scheduling [--most 64]

Nothing is decoded or encoded. Time is simulated: parts take what was measured on an H200, and the CPU time that the
code of the conductor, the board and the dispatcher needs here is added to it.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

from tests.support.simulated_clock import SimulatedClock
from tests.support.sleeping_crew import FPS, Costs, SimulatedConductor, SleepingCrew
from tests.support.sleeping_files import FileQueue, lengths_s

_FILES_PER_SLOT = 6
_FILE_S = 240.0  # of work, on average


@dataclass(frozen=True, slots=True)
class Split:
    """One recording on some workers.

    Attributes:
        wall_s: until the last part is there.
        work_s: of the stage that takes longest, if one worker did it.
        decide_s: of the conductor's decisions, which nobody shares.
        cpu_s: of the conductor's other code.
    """

    workers: int
    parts: int
    wall_s: float
    work_s: float
    decide_s: float
    cpu_s: float

    @property
    def gain(self) -> float:
        return self.work_s / self.wall_s

    @property
    def efficiency(self) -> float:
        """Of the least time that the work and the decisions allow, the share in the real one."""
        return max(self.work_s / self.workers, self.decide_s) / self.wall_s


def split(workers: int, duration_s: float, costs: Costs, *, counts_cpu: bool = True) -> Split:
    """Let workers share one recording."""
    clock = SimulatedClock(counts_cpu=counts_cpu)
    crew = SleepingCrew(clock, workers, costs)
    conductor = SimulatedConductor(clock, crew, costs, duration_s)
    wall_s = conductor.work()
    decide_s = duration_s * FPS * costs.decide_ms / 1000
    return Split(workers, conductor.parts, wall_s, max(crew.worked_s.values()), decide_s, clock.cpu_s)


def _counts(most: int) -> list[int]:
    return [2**n for n in range(most.bit_length()) if 2**n <= most]


def _print_splits(title: str, counts: list[int], hours_per_worker: float, costs: Costs, hours: float = 0.0) -> None:
    sys.stdout.write(f"\n{title}\nworkers  parts   wall s  faster  efficiency  conductor's CPU s\n")
    for workers in counts:
        found = split(workers, 3600 * (hours or hours_per_worker * workers), costs)
        sys.stdout.write(f"{workers:7d} {found.parts:6d} {found.wall_s:8.1f} {found.gain:7.2f}")
        sys.stdout.write(f" {found.efficiency:11.3f} {found.cpu_s:12.2f}\n")


def _print_queue(counts: list[int]) -> None:
    sys.stdout.write("\nmany files, not split\n  nodes  files  busy while files wait  dispatcher's CPU s  of wall s\n")
    for nodes in counts:
        clock = SimulatedClock()
        queue = FileQueue(clock, nodes, lengths_s(4 * nodes * _FILES_PER_SLOT, _FILE_S))
        wall_s = queue.work()
        files = 4 * nodes * _FILES_PER_SLOT
        sys.stdout.write(f"{nodes:7d} {files:6d} {queue.busy():22.3f} {clock.cpu_s:19.2f} {wall_s:10.0f}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=64, help="workers, and nodes")
    counts = _counts(parser.parse_args().most)
    free = Costs(decide_ms=0.0)
    _print_splits("one recording of 2 h, decisions free: scheduling alone", counts, 0.0, free, hours=2)
    _print_splits("30 min for each worker, decisions free: scheduling alone", counts, 0.5, free)
    _print_splits("one recording of 2 h, decisions of 0.9 ms a frame", counts, 0.0, Costs(), hours=2)
    _print_queue(counts)


if __name__ == "__main__":
    main()
