"""Runs workers on the nodes of a Ray cluster. This is the only module that imports Ray.

Ray starts a ``Relay`` on a node, passes lines on, and reports nodes that have gone. Retries, limits of time and the
protection from two writers are ours: whatever Ray reports as an error ends the attempt as ``Died.may_still_run``.
"""

from __future__ import annotations

import os
import selectors
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from daemon.clock import Clock
from daemon.config.settings import Settings
from daemon.errors import ClusterUnreachableError
from daemon.executor.local import LocalConnection
from daemon.executor.node_watch import NodeWatch
from daemon.executor.nodes import ClusterDescription
from daemon.executor.protocol import Node, OnStats, Place
from daemon.executor.ray_connection import IN, OUT, RayConnection
from daemon.executor.ray_environment import variables
from daemon.executor.ray_errors import reason_of
from daemon.executor.relay import Relay
from daemon.executor.supervised import Connection, SupervisedExecutor
from daemon.worker.spawn import spawn_worker

_RELAY_PATIENCE_S = 30.0

log = structlog.get_logger(__name__)


class RayExecutor(SupervisedExecutor):
    """The workers of a cluster.

    Args:
        selector: wakes up the service's loop for a message.
        state: the folder on the share with the descriptions of the nodes.

    Raises:
        ClusterUnreachableError: there is no cluster, or no node of it on this machine.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        settings: Settings,
        state: Path,
        *,
        clock: Clock,
        on_stats: OnStats = lambda *_: None,
    ) -> None:
        super().__init__(stall_timeout_s=settings.workers.stall_timeout_s, clock=clock, on_stats=on_stats)
        self._selector = selector
        self._ray = _connect(settings, state)
        self._wakeup = _Wakeup(selector)
        self._watch_nodes = NodeWatch(self._ray, state, settings.share.root)
        self._relay_class = self._ray.remote(concurrency_groups={IN: 1, OUT: 1})(Relay)

    def close(self) -> None:
        """Leave the cluster; workers that still run are killed there."""
        self._watch_nodes.stop()
        self._ray.shutdown()
        self._wakeup.close()

    @property
    def places(self) -> Sequence[Place]:
        """Those of all nodes that answer."""
        return [place for node in self._watch_nodes.usable.values() for place in node.places]

    @property
    def slots(self) -> int:
        """How many workers may run side by side."""
        return sum(map(self._slots_on, self._watch_nodes.usable))

    def _slots_on(self, node: str) -> int:
        found = self._watch_nodes.usable.get(node)
        return found.slots if found else 0

    @property
    def nodes(self) -> Sequence[Node]:
        """All nodes that the cluster knows, also those that cannot be used."""
        return self._watch_nodes.all

    def poll(self) -> Iterator[tuple[str, Any]]:
        """Handle the messages of all workers; yield each job whose worker has ended, with its outcome.

        Raises:
            ClusterUnreachableError: this host's node has ended; the service has to start again with another.
        """
        if self._watch_nodes.lost_own:
            raise ClusterUnreachableError("This host's node of the cluster has ended.")
        self._wakeup.clear()
        yield from super().poll()

    def _start_worker(self, job: str, place: Place | None) -> Connection:
        if place is None:
            return LocalConnection(spawn_worker(), self._selector)
        node = self._watch_nodes.usable.get(place.node)
        if node is None:
            raise OSError(f"The node {place.node} has left the cluster.")
        strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node.ray_id, soft=False)
        relay = self._relay_class.options(num_cpus=0, max_restarts=0, max_task_retries=0, scheduling_strategy=strategy)
        return RayConnection(self._ray, lambda: relay.remote(_RELAY_PATIENCE_S), place.node, job, self._wakeup.wake)


class _Wakeup:
    """Wakes up the service's loop from other threads."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        selector.register(self._fd, selectors.EVENT_READ)

    def wake(self) -> None:
        with suppress(OSError):  # it is closed, or awake already
            os.eventfd_write(self._fd, 1)

    def clear(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self._fd)

    def close(self) -> None:
        self._selector.unregister(self._fd)
        os.close(self._fd)


def _connect(settings: Settings, state: Path) -> Any:
    """Return Ray, connected to the cluster. Ray reads its settings from the environment when it is imported."""
    cluster = settings.cluster
    os.environ.update(variables(cluster.token_file))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        import ray  # noqa: PLC0415 - an extra, which only clusters need
        import ray.util.scheduling_strategies  # noqa: PLC0415
    except ImportError as error:
        raise ClusterUnreachableError(
            "Ray is not installed.", remedy="Install the program again with Ray: ./install.sh service --cluster"
        ) from error
    head = ClusterDescription.read(state)
    if head is None:
        raise ClusterUnreachableError("No head of a cluster has been started on this share.")
    address = f"{head.address}:{head.port}"
    begun = time.monotonic()
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except Exception as error:
        raise ClusterUnreachableError(f"The cluster at {address} cannot be joined: {reason_of(error)}") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                signal.signal(number, handler)
    log.info("cluster joined", address=address, took_s=round(time.monotonic() - begun, 1))
    return ray
