"""Undoes what a library does to the scheduling of the thread that calls it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def priority_kept() -> Iterator[None]:
    """Give the calling thread its scheduling back at the end.

    SVT-AV1's encoder, called by root, makes the calling thread SCHED_FIFO with the highest priority. All that it
    starts later inherits that, and everything else on the machine starves.
    """
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)
