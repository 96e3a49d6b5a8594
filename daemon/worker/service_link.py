"""The worker's connection to the service: messages go out, notes and the request to stop come in."""

from __future__ import annotations

import os
import queue
import threading
from contextlib import suppress
from typing import BinaryIO

from daemon.worker import sandbox
from daemon.worker.protocol import STOP, Message, Note, Order, decode, encode, receive_order


class ServiceLink:
    """Both pipes to the service.

    Args:
        orders: the worker's standard input.
        pipe: takes the messages, unbuffered.
    """

    def __init__(self, orders: BinaryIO, pipe: BinaryIO) -> None:
        self._orders = orders
        self._pipe = pipe
        self._sending = threading.Lock()
        self._stop = threading.Event()
        self._notes: queue.SimpleQueue[Note | None] = queue.SimpleQueue()

    def receive_order(self) -> Order:
        """Read the order; from then on a thread listens for what comes after it.

        Raises:
            EOFError: the service ended before it sent one.
        """
        order = receive_order(self._orders)
        threading.Thread(target=self._listen, name="orders", daemon=True).start()
        return order

    def send(self, message: Message) -> None:
        """Send a message; any thread may."""
        with self._sending:
            self._pipe.write(encode(message))

    def should_stop(self) -> bool:
        """Whether the service has asked this worker to checkpoint and stop."""
        return self._stop.is_set()

    def request_stop(self) -> None:
        """Stop as if the service had asked for it; signal handlers may call this."""
        self._stop.set()
        self._notes.put(None)

    def receive(self, timeout_s: float | None = None) -> Note | None:
        """Return the next note of the service, in the order in which they were sent.

        Args:
            timeout_s: how long to wait; None waits without limit.

        Returns:
            None if the time is over, or if a request to stop has come meanwhile.
        """
        try:
            return self._notes.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def _listen(self) -> None:
        """Receive notes and the request to stop; the end of the pipe means that the service has ended."""
        for line in self._orders:
            if line == STOP:
                self.request_stop()
                continue
            with suppress(ValueError):
                note = decode(line)
                if isinstance(note, Note):
                    self._notes.put(note)
        os._exit(sandbox.ORPHANED)
