"""Beyond the matrix: the service is killed at, or gets an error from, every single call that changes the share.

python -m tests.faults --sweep [--sample 50 --seed 1]
"""

from __future__ import annotations

import errno
import signal
from collections.abc import Iterator

from tests.faults.cells import Cell
from tests.faults.faults import Fault, Variant, signal_service
from tests.faults.preload import Call, Rule
from tests.faults.steps import Step

_CHANGES = "create,write,fsync,rename,link,unlink,mkdir"
_OF_JOBS = "*/@(jobs/*|finished/*|originals|originals/*|outbox|outbox/x.*)"
_CALLS = {"daemon": 85, "worker": 130}  # that a job of three segments makes, and a few more


def sweep() -> Iterator[Cell]:
    """One cell for each call and each way in which it can go wrong; calls beyond the last are never reached."""
    for role, calls in _CALLS.items():
        for nth in range(1, calls + 1):
            call = Call(role, _CHANGES, _OF_JOBS, nth)
            step = Step(f"{role}'s call {nth}", role, call)
            for variant in _ways(call):
                yield Cell(Fault("sweep", lambda step: iter(()), lambda step: ""), step, variant)


def _ways(call: Call) -> Iterator[Variant]:
    yield Variant("SIGKILL of daemon", Rule(call), signal_service(signal.SIGKILL))
    yield Variant("EIO", Rule(call, "fail", number=errno.EIO))
    yield Variant("ENOSPC", Rule(call, "fail", number=errno.ENOSPC))
    yield Variant("reply lost, EIO", Rule(call, "fail", after=True, number=errno.EIO))
    yield Variant("reply lost, ENOENT", Rule(call, "fail", after=True, number=errno.ENOENT))
