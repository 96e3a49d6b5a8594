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
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from daemon.clock import Clock
from daemon.config.settings import Settings
from daemon.errors import ClusterUnreachableError
from daemon.executor.exit_status import died
from daemon.executor.local import LocalConnection
from daemon.executor.nodes import ClusterDescription, NodeDescription
from daemon.executor.protocol import Died, Node, OnStats, Place
from daemon.executor.ray_environment import NODE_LABEL, SESSION_LABEL, variables
from daemon.executor.relay import Event, Relay
from daemon.executor.supervised import Connection, SupervisedExecutor
from daemon.worker.spawn import spawn_worker

_LOOK_EVERY_S = 2.0  # at the nodes of the cluster
_LONG_POLL_S = 5.0
_ANSWER_WITHIN_S = 20.0  # to a long poll; a node that is cut off is noticed by Ray after about eleven
_START_WITHIN_S = 60.0
_RELAY_PATIENCE_S = 30.0
_LONGEST_REASON = 120
_IN, _OUT = "in", "out"  # threads of a relay: what goes in keeps its order and does not wait for what comes out

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
        self._watch_nodes = _NodeWatch(self._ray, state, settings.share.root)
        self._relay_class = self._ray.remote(concurrency_groups={_IN: 1, _OUT: 1})(Relay)

    def close(self) -> None:
        """Leave the cluster; workers that still run are killed there."""
        self._watch_nodes.stop()
        self._ray.shutdown()
        self._wakeup.close()

    @property
    def places(self) -> Sequence[Place]:
        """Those of all nodes that answer."""
        return [place for _, description in self._watch_nodes.usable for place in description.places()]

    @property
    def slots(self) -> int:
        """How many workers may run side by side."""
        return sum(self._slots_on(description.node) for _, description in self._watch_nodes.usable)

    def _slots_on(self, node: str) -> int:
        places = [place for place in self.places if place.node == node]
        described = next((each for _, each in self._watch_nodes.usable if each.node == node), None)
        return min(described.slots, sum(place.slots for place in places)) if described else 0

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
        node_id = self._watch_nodes.id_of(place.node)
        if node_id is None:
            raise OSError(f"The node {place.node} has left the cluster.")
        strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node_id, soft=False)
        relay = self._relay_class.options(num_cpus=0, max_restarts=0, max_task_retries=0, scheduling_strategy=strategy)
        return RayConnection(self._ray, lambda: relay.remote(_RELAY_PATIENCE_S), place.node, job, self._wakeup.wake)


class RayConnection:
    """The connection to a worker through a relay on its node. A thread makes the calls that may wait."""

    def __init__(self, ray: Any, make_relay: Callable[[], Any], node: str, job: str, wake: Callable[[], None]) -> None:
        self._ray = ray
        self._make_relay = make_relay
        self._node = node
        self._wake = wake
        self._starting: Any = None
        self._relay: Any = None  # once it has answered
        self._lock = threading.Lock()
        self._unsent: list[bytes] = []
        self._kill_wanted = False
        self._lines: dict[str, deque[bytes]] = {"message": deque(), "printed": deque()}
        self._died: Died | None = None
        threading.Thread(target=self._follow, name=f"relay of {job}", daemon=True).start()

    def send(self, data: bytes) -> None:
        """Send bytes to the worker's standard input, as soon as it is there."""
        with self._lock:
            if self._relay is None:
                self._unsent.append(data)
            else:
                with suppress(Exception):  # the reading thread reports that it is lost
                    self._call("send", data, group=_IN)

    def messages(self) -> Iterator[bytes]:
        """Yield the lines that have arrived on the worker's pipe for messages."""
        return _drained(self._lines["message"])

    def printed(self) -> Iterator[bytes]:
        """Yield the lines that the worker has printed."""
        return _drained(self._lines["printed"])

    def ended(self) -> Died | None:
        """Return how the process has ended, or that its node was lost; None while it runs."""
        return self._died

    def kill(self) -> None:
        """Send SIGKILL."""
        with self._lock:
            self._kill_wanted = True
            if self._relay is not None:
                with suppress(Exception):
                    self._call("kill")

    def close(self) -> None:
        """The thread has ended the relay already."""

    def _call(self, method: str, *arguments: Any, group: str | None = None) -> Any:
        handle = getattr(self._relay, method)
        return (handle.options(concurrency_group=group) if group else handle).remote(*arguments)

    def _follow(self) -> None:
        """Start the relay and take in its events until the worker has ended, or the relay is lost."""
        try:
            ended = self._begin()
            while ended is None:
                ended = self._take(
                    self._ray.get(self._call("read", _LONG_POLL_S, group=_OUT), timeout=_ANSWER_WITHIN_S)
                )
            self._died = died(ended.status)
        except Exception as error:  # Ray's errors have no narrower base in common with those of its transport
            self._died = Died("node lost", 0, f"{self._node}: {_reason(error)}", may_still_run=True)
        finally:
            self._wake()
            with suppress(Exception):
                self._ray.kill(self._starting, no_restart=True)

    def _begin(self) -> Event | None:
        """Start the relay, and send it what has waited for it; return the worker's end if that has come already."""
        self._starting = self._make_relay()
        first = self._starting.read.options(concurrency_group=_OUT).remote(0.0)
        ended = self._take(self._ray.get(first, timeout=_START_WITHIN_S))
        with self._lock:
            self._relay = self._starting
            for data in self._unsent:
                self._call("send", data, group=_IN)
            if self._kill_wanted:
                self._call("kill")
        return ended

    def _take(self, events: list[Event]) -> Event | None:
        """Keep the lines; return the end if it has come."""
        for event in events:
            if event.kind == "ended":
                return event
            self._lines[event.kind].append(event.line)
        if events:
            self._wake()
        return None


class _NodeWatch:
    """Looks at the cluster's nodes again and again, in a thread of its own, since Ray and the share may hang."""

    def __init__(self, ray: Any, state: Path, root: Path) -> None:
        self._ray = ray
        self._state = state
        self._root = root
        self._own_id = ray.get_runtime_context().get_node_id()
        self._stopping = threading.Event()
        self.lost_own = False
        self.usable: list[tuple[str, NodeDescription]] = []
        self.all: list[Node] = []
        self._look()
        threading.Thread(target=self._run, name="nodes", daemon=True).start()

    def id_of(self, node: str) -> str | None:
        """Return Ray's id of a node that answers."""
        return next((node_id for node_id, description in self.usable if description.node == node), None)

    def stop(self) -> None:
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_EVERY_S):
            try:
                self._look()
            except Exception as error:  # the cluster's head is away; its nodes have to be looked for again
                self.usable, self.all = [], []
                log.warning("the cluster's nodes are not known", reason=_reason(error))

    def _look(self) -> None:
        usable, every = [], []
        for found in self._ray.nodes():
            labels = found["Labels"]
            name, session = labels.get(NODE_LABEL), labels.get(SESSION_LABEL)
            self.lost_own |= found["NodeID"] == self._own_id and not found["Alive"]
            if not found["Alive"] or not name:
                continue
            description = NodeDescription.read(self._state, name)
            if description is None or description.session != session:
                every.append(Node(name, "other_share"))
            elif description.root != str(self._root):
                every.append(Node(name, "other_root"))
            else:
                usable.append((found["NodeID"], description))
                every.append(Node(name, "ready", description.device, description.class_names, description.places()))
        self.usable, self.all = usable, every


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
        raise ClusterUnreachableError(f"The cluster at {address} cannot be joined: {_reason(error)}") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                signal.signal(number, handler)
    log.info("cluster joined", address=address, took_s=round(time.monotonic() - begun, 1))
    return ray


def _drained(lines: deque[bytes]) -> Iterator[bytes]:
    while lines:
        yield lines.popleft()


def _reason(error: BaseException) -> str:
    """Return the first sentence of an error of Ray, whose texts are long."""
    lines = str(error).strip().splitlines()
    return lines[0].partition(". ")[0][:_LONGEST_REASON] if lines else type(error).__name__
