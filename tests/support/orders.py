"""Orders for workers that need no media: each does one thing that an executor has to handle."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass

from daemon.worker.protocol import Ending, Finished, Note
from daemon.worker.service_link import ServiceLink
from pipeline.errors import JobStopped
from pipeline.job import Progress

DONE = Finished("succeeded", "", {}, 0, 0.0, 0.0)


@dataclass(frozen=True)
class Echo:
    """Reports progress, sends each note back with the process id, and ends with the note "end" or when it has to stop.

    Attributes:
        reports_progress: whether silence counts as a stall.
        ballast: makes the order large.
    """

    reports_progress: bool = False
    ballast: bytes = b""

    def carry_out(self, service: ServiceLink) -> Ending:
        service.send(Progress("render", 5, 0.5, 10.0))
        while not service.should_stop():
            note = service.receive()
            if note and note.subject == "end":
                return DONE
            if note:
                service.send(Note(note.subject, {**note.body, "pid": os.getpid()}))
        raise JobStopped("as requested")


@dataclass(frozen=True)
class Silent:
    """Does nothing that the service could see, and ignores the request to stop."""

    reports_progress: bool = True

    def carry_out(self, service: ServiceLink) -> Ending:
        while True:
            time.sleep(60)


@dataclass(frozen=True)
class Dies:
    """Prints a line, then ends by a signal, or with a status if the number is negative."""

    by: int

    def carry_out(self, service: ServiceLink) -> Ending:
        print("terminate called", file=sys.stderr, flush=True)  # noqa: T201 - as a library does
        if self.by < 0:
            os._exit(-self.by)
        os.kill(os.getpid(), self.by)
        return DONE


@dataclass(frozen=True)
class Deaf:
    """Sends its outcome and then does not end."""

    def carry_out(self, service: ServiceLink) -> Ending:
        service.send(DONE)
        while True:
            time.sleep(60)


@dataclass(frozen=True)
class Raises:
    """Fails by a mistake of the program."""

    def carry_out(self, service: ServiceLink) -> Ending:
        return Finished("succeeded", "", {}, 1 // 0, 0.0, 0.0)
