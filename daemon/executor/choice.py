"""Opens the executor that the settings name."""

from __future__ import annotations

import selectors
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.clock import Clock
from daemon.config.settings import Settings
from daemon.executor.local import LocalExecutor
from daemon.executor.protocol import Executor, OnStats
from daemon.executor.ray_executor import RayExecutor


@contextmanager
def executor_of(
    settings: Settings, selector: selectors.BaseSelector, state: Path, *, clock: Clock, on_stats: OnStats
) -> Iterator[Executor]:
    """Yield the executor, and close it in the end.

    Args:
        selector: wakes up the service's loop for a message.
        state: the services' folder on the share.
        clock, on_stats: see ``SupervisedExecutor``.

    Raises:
        ClusterUnreachableError: the service cannot join the cluster.
    """
    executor: Executor
    if settings.cluster.engine == "ray":
        executor = RayExecutor(selector, settings, state, clock=clock, on_stats=on_stats)
    else:
        executor = LocalExecutor(selector, settings, clock=clock, on_stats=on_stats)
    try:
        yield executor
    finally:
        executor.close()
