"""Protection of a thread's scheduling from libraries that change it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def priority_kept() -> Iterator[None]:
    """Restore the scheduling of the calling thread at the end of the block.

    SVT-AV1's encoder, called by root, makes the calling thread SCHED_FIFO with the highest priority. What it
    starts later inherits that, and starves everything else on the machine.
    """
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)
