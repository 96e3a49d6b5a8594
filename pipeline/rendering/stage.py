"""Runs a generator in a thread of its own, ahead of its consumer through a bounded queue."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")

_POLL_S = 0.1
# A stage that comes back from a codec or the GPU waits so long, at most, for one that computes in Python; by default
# it waits 5 ms, more than the GPU needs to decode two frames.
_SWITCH_INTERVAL_S = 1e-4


class _End:
    """The last entry of a queue, with the exception that ended the producer, if any."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class Stage(Generic[T], Iterator[T]):
    """Iterates over an iterable in a thread, at most ``depth`` items ahead of the consumer, in order.

    An exception of the producer is raised in the consumer, after the items before it. Codecs and models release the
    GIL, so stages run in parallel. ``close`` stops the thread and waits for it.

    Args:
        on_change: called with an item and +1 after it is produced, and -1 after it is consumed.
    """

    def __init__(
        self, name: str, items: Iterable[T], depth: int, on_change: Callable[[T, int], None] = lambda *_: None
    ) -> None:
        self._items = items
        self._on_change = on_change
        self._queue: queue.Queue[T | _End] = queue.Queue(maxsize=max(1, depth))
        self._closing = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._produce, name=name, daemon=True)
        self._thread.start()

    def __next__(self) -> T:
        if self._ended:
            raise StopIteration
        item = self._queue.get()
        if isinstance(item, _End):
            self._ended = True
            if item.error is not None:
                raise item.error
            raise StopIteration
        self._on_change(item, -1)
        return item

    def close(self) -> None:
        """Stop the producer at its next item and wait until its thread has ended."""
        self._closing.set()
        self._ended = True
        self._thread.join()

    def _produce(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._items:
                self._on_change(item, 1)
                if not self._put(item):
                    break
        except BaseException as exc:
            error = exc
        finally:
            self._close_items()
            self._put(_End(error))

    def _put(self, item: T | _End) -> bool:
        while not self._closing.is_set():
            try:
                self._queue.put(item, timeout=_POLL_S)
            except queue.Full:
                continue
            return True
        return False

    def _close_items(self) -> None:
        close = getattr(self._items, "close", None)
        if close is not None:
            close()


@contextmanager
def quick_switches() -> Iterator[None]:
    """Let the stages' threads pass the interpreter's lock on quickly."""
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        yield
    finally:
        sys.setswitchinterval(usual_s)
