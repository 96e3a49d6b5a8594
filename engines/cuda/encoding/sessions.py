"""NVENC sessions: how many the GPU opens, and a queue for those that wait for one.

GeForce GPUs allow a few encoder sessions for the whole system, by driver; workstation GPUs as many as fit. Over the
limit the driver answers NV_ENC_ERR_OUT_OF_MEMORY (10) or NV_ENC_ERR_INCOMPATIBLE_CLIENT_KEY (21); a GPU without an
encoder answers NV_ENC_ERR_UNSUPPORTED_DEVICE (2) or NV_ENC_ERR_NO_ENCODE_DEVICE (1).
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, Literal, TypeVar

import structlog

from engines.cuda.cross_process import Slots
from engines.device_errors import device_errors, nvenc_status
from engines.errors import EncoderBusyError, EncoderMissingError
from engines.nvenc_sessions import NVENC_BUSY, SessionProbe

T = TypeVar("T")

MISSING = frozenset({1, 2})
MOST_PROBED = 32
_RETRY_S = 0.5  # between two tries while another process holds the sessions
_PROBE_TIMEOUT_S = 60.0

log = structlog.get_logger(__name__)


def probe_sessions(index: int, most: int = MOST_PROBED) -> SessionProbe:
    """Open sessions in a separate process until one is refused: a crash of the driver ends only that process."""
    command = [sys.executable, "-m", "engines.cuda.encoding.session_probe", str(index), str(most)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=_PROBE_TIMEOUT_S, check=False)
        return SessionProbe(**json.loads(done.stdout.splitlines()[-1]))
    except subprocess.TimeoutExpired:
        return SessionProbe(0, f"opening encoder sessions took longer than {_PROBE_TIMEOUT_S:.0f} s")
    except (IndexError, ValueError, TypeError):
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        return SessionProbe(0, f"the encoder's probe ended with status {done.returncode}: {' '.join(lines[-1:])}")


def choose_encoder(
    wanted: Literal["auto", "nvenc", "x264"], probe: Callable[[], SessionProbe]
) -> tuple[Literal["nvenc", "x264"], str | None]:
    """Return the encoder to use, and for the report why NVENC is not used.

    Raises:
        EncoderMissingError: NVENC is required, and the GPU has none.
    """
    if wanted == "x264":
        return "x264", None
    found = probe()
    if found.has_encoder:
        return "nvenc", None
    if wanted == "nvenc":
        raise EncoderMissingError(f"encoder: nvenc is set, but NVENC does not work on this GPU: {found.error}")
    return "x264", f"NVENC is not used: {found.error}"


class Session(Generic[T]):
    """An open encoder and its session; ``close`` frees both, once."""

    def __init__(self, encoder: T, release: Callable[[], None]) -> None:
        self.encoder: T | None = encoder
        self._release = release
        self._lock = threading.Lock()

    def close(self) -> None:
        with self._lock:
            if self.encoder is not None:
                self.encoder = None  # the library closes the session with its last reference
                self._release()


class EncoderSessions:
    """Gives the sessions of one GPU to the threads of this process, first come, first served.

    This process holds on to a slot that it has taken: a job opens a session for each segment, and must not lose its
    turn between two of them.

    Args:
        limit: sessions that may be open at once; None leaves the limit to the driver.
        slots: the sessions of all processes together; None likewise.
        wait_s: longest wait for a session.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        limit: int | None,
        *,
        slots: Slots | None = None,
        wait_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = math.inf if limit is None else limit
        self._slots = slots
        self._spare_slots: list[Callable[[], None]] = []
        self._wait_s = wait_s
        self._clock = clock
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()
        self.open_sessions = 0

    def open(self, create: Callable[[], T]) -> Session[T]:
        """Wait for a session, then create the encoder; while other processes hold all sessions, try again.

        Raises:
            EncoderBusyError: no session came free in time.
            EncoderMissingError: the GPU has no encoder.
            EngineError: another error that ``device_errors`` translates; anything else is raised unchanged.
        """
        deadline = self._clock() + self._wait_s
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
        try:
            while True:
                self._begin_session(ticket, deadline)
                release = self._take_slot()
                encoder = self._try(create, release) if release else None
                if encoder is not None and release:
                    return Session(encoder, release)
                self._pause(deadline)
        except Exception:
            self.free_spare_slots()  # a caller that gives up must not hold one
            raise
        finally:
            with self._changed:
                self._queue.remove(ticket)
                self._changed.notify_all()

    def free_spare_slots(self) -> None:
        """Free the slots that no open session uses for other processes."""
        with self._changed:
            spare, self._spare_slots = self._spare_slots, []
        for give_back in spare:
            give_back()

    def _begin_session(self, ticket: object, deadline: float) -> None:
        with self._changed:
            while self._queue[0] is not ticket or self.open_sessions >= self._limit:
                self._wait(deadline, deadline - self._clock())
            self.open_sessions += 1

    def _take_slot(self) -> Callable[[], None] | None:
        """Take a slot; return the function that ends its use, or None if other processes have all."""
        if self._slots is None:
            return self._end_session
        with self._changed:
            give_back = self._spare_slots.pop() if self._spare_slots else self._slots.take()
        if give_back is None:
            self._end_session()
            return None

        def release() -> None:
            with self._changed:
                self._spare_slots.append(give_back)
            self._end_session()

        return release

    def _end_session(self) -> None:
        with self._changed:
            self.open_sessions -= 1
            self._changed.notify_all()

    def _try(self, create: Callable[[], T], release: Callable[[], None]) -> T | None:
        """Return the encoder, or None if the GPU reports that all sessions are taken."""
        try:
            with device_errors("opening an encoder"):
                return create()
        except Exception as error:
            release()
            status = nvenc_status(error)
            if status in MISSING:
                raise EncoderMissingError(f"This GPU has no encoder: NVENC returned error {status}") from error
            if status not in NVENC_BUSY:
                raise
            log.info("encoder busy", nvenc_status=status, open_here=self.open_sessions)
            return None

    def _pause(self, deadline: float) -> None:
        with self._changed:
            self._wait(deadline, min(_RETRY_S, deadline - self._clock()))

    def _wait(self, deadline: float, seconds: float) -> None:
        if self._clock() >= deadline:
            of_all = f" of {self._limit}" if self._limit < math.inf else ""
            raise EncoderBusyError(f"all encoder sessions are taken ({self.open_sessions}{of_all} by this process)")
        self._changed.wait(max(0.0, seconds))
