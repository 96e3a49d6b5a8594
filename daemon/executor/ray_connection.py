"""The connection to a worker on another node, through a relay that Ray has started there."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from daemon.executor.exit_status import died
from daemon.executor.protocol import Died
from daemon.executor.ray_errors import reason_of
from daemon.executor.relay import Event

_LONG_POLL_S = 5.0
_ANSWER_WITHIN_S = 20.0  # to a long poll; a node that is cut off is noticed by Ray after about eleven
_START_WITHIN_S = 60.0
IN, OUT = "in", "out"  # threads of a relay: what goes in keeps its order and does not wait for what comes out


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
                    self._call("send", data, group=IN)

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
                ended = self._take(self._ray.get(self._call("read", _LONG_POLL_S, group=OUT), timeout=_ANSWER_WITHIN_S))
            self._died = died(ended.status)
        except Exception as error:  # Ray's errors have no narrower base in common with those of its transport
            self._died = Died("node lost", 0, f"{self._node}: {reason_of(error)}", may_still_run=True)
        finally:
            self._wake()
            with suppress(Exception):
                self._ray.kill(self._starting, no_restart=True)

    def _begin(self) -> Event | None:
        """Start the relay, and send it what has waited for it; return the worker's end if that has come already."""
        self._starting = self._make_relay()
        first = self._starting.read.options(concurrency_group=OUT).remote(0.0)
        ended = self._take(self._ray.get(first, timeout=_START_WITHIN_S))
        with self._lock:
            self._relay = self._starting
            for data in self._unsent:
                self._call("send", data, group=IN)
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


def _drained(lines: deque[bytes]) -> Iterator[bytes]:
    while lines:
        yield lines.popleft()
