"""Judges many rows side by side; a file that crashes the program costs its own row alone."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import structlog

from tests.conformance.row import Verdict, judge
from tests.conformance.table import ROWS

_LONGEST_S = 600  # for one row, on a machine that is busy
_BY_NAME = {row.name: row for row in ROWS}


def sweep(names: Sequence[str], folder: Path, slots: int) -> Iterator[Verdict]:
    """Verdicts in the order of ``names``."""
    with _pool(slots) as pool:
        futures = [pool.submit(_judged, name, folder) for name in names]
        yield from (_verdict(name, future, folder) for name, future in zip(names, futures, strict=True))


def _verdict(name: str, future: Future[Verdict], folder: Path) -> Verdict:
    try:
        return future.result()
    except BrokenProcessPool:  # which took its neighbours along: each tries again on its own
        return _alone(name, folder)


def _alone(name: str, folder: Path) -> Verdict:
    with _pool(1) as pool:
        try:
            return pool.submit(_judged, name, folder).result()
        except BrokenProcessPool:
            return Verdict(name, ("the program crashes or hangs",))


def _pool(slots: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(slots, mp_context=get_context("spawn"), initializer=_quiet)


def _quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    os.nice(5)
    os.environ["SVT_LOG"] = "0"


def _judged(name: str, folder: Path) -> Verdict:
    signal.wakeup(_LONGEST_S)  # a codec that hangs reacts to nothing else
    try:
        return judge(_BY_NAME[name], folder / name)
    except Exception as error:
        return Verdict(name, (f"the judge fails: {type(error).__name__}: {error}",))
    finally:
        signal.wakeup(0)
