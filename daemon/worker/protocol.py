"""The protocol between a worker process and the service.

The service writes one order to the worker's standard input, pickled (both ends are ours). Lines may follow: ``STOP``,
and notes as JSON. Messages come back as JSON lines on a pipe of their own, so that the output of a codec cannot be
mistaken for one.
"""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from pydantic import TypeAdapter

from daemon.config.settings import WorkerLimits
from daemon.pages.i18n import Language
from daemon.remedies import remedy_of
from daemon.share.leases import Lease
from engines.errors import ExplainedError
from engines.nvenc_sessions import SessionProbe
from engines.settings import DeviceSettings
from pipeline.job import JobResult, JobSpec, Progress
from pipeline.report.model import Failure
from pipeline.telemetry.counters import StatsDelta

if TYPE_CHECKING:
    from daemon.worker.service_link import ServiceLink

Split: TypeAlias = Literal["auto", "never", "always"]

STOP = b"stop\n"
_LENGTH = struct.Struct("!I")


@dataclass(frozen=True, slots=True)
class CheckBackend:
    """The order to open the backend once, within a worker's limits, and report whether it works."""

    device: DeviceSettings
    limits: WorkerLimits


@dataclass(frozen=True, slots=True)
class RunJob:
    """The order to do a job.

    Attributes:
        nice: the worker's niceness.
        lease: the lease under which the service holds the job; None if no other host can take it over.
        report_languages: languages of the HTML report; empty if none is wanted.
        split: as the setting ``cluster.split``.
    """

    spec: JobSpec
    nice: int
    log_level: str
    limits: WorkerLimits
    lease: Lease | None = None
    report_languages: tuple[Language, ...] = ()
    split: Split = "never"


@dataclass(frozen=True, slots=True)
class CompareFiles:
    """The order to compare two files: does one recording continue in the other?

    See ``engines.media.split_recording.follows``.
    """

    first: Path
    second: Path
    certain_names: bool
    limits: WorkerLimits


class Task(Protocol):
    """An order that brings its own work: a class whose objects can be pickled.

    Attributes:
        reports_progress: whether it counts as stalled without progress; False if the class has no such attribute.
    """

    def carry_out(self, service: ServiceLink) -> Ending:
        """Do the work in the worker process, confined to local sockets; resource limits are the task's own business.

        Raises:
            JobStopped: it has stopped as requested.
            ExplainedError: the work failed.
        """


Order: TypeAlias = CheckBackend | CompareFiles | RunJob | Task


@dataclass(frozen=True, slots=True)
class Finished:
    """The job is done; ``files`` are names in its work directory, by kind."""

    status: str
    verdict: str
    files: dict[str, str]
    frames: int
    duration_s: float
    wall_s: float
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, result: JobResult) -> Finished:
        """Return the message for the result of a job."""
        files = {kind: path.name for kind, path in asdict(result.files).items() if path is not None}
        return cls(result.status, result.verdict, files, result.frames, result.duration_s, result.wall_s, result.facts)


@dataclass(frozen=True, slots=True)
class Failed:
    """The job ended with an explained error."""

    code: str
    message: str
    remedy: str
    retryable: bool = False
    environmental: bool = False

    @classmethod
    def of(cls, error: ExplainedError) -> Failed:
        """Return the message for an error."""
        return cls(error.code, error.message, remedy_of(error), error.retryable, error.environmental)

    def for_report(self) -> Failure:
        """Return it as a section of the job's report."""
        return Failure(code=self.code, message=self.message, remedy=self.remedy, retryable=self.retryable)

    def error(self) -> ExplainedError:
        """Return the same as an exception."""
        error = ExplainedError(self.message, remedy=self.remedy)
        error.code, error.retryable, error.environmental = self.code, self.retryable, self.environmental
        return error


@dataclass(frozen=True, slots=True)
class Stopped:
    """The job has checkpointed and stopped, as requested."""


@dataclass(frozen=True, slots=True)
class GPU:
    """A GPU that opened at the service's start.

    Attributes:
        index: CUDA's number.
        free_bytes: memory below the VRAM guard that was free then.
        nvenc: its encoder sessions, counted then; None if the settings allow none.
        compute_class: a short name of its compute class (see ``engines.compute_class``).
    """

    index: int
    free_bytes: int
    nvenc: SessionProbe | None = None
    compute_class: str = ""


@dataclass(frozen=True, slots=True)
class BackendReady:
    """The backend works.

    Attributes:
        notes: reasons why a better backend is not in use.
        gpus: the GPUs that opened; empty if the work runs on the CPU.
        compute_class: likewise, of work on the CPU.
    """

    device: str
    notes: tuple[str, ...] = ()
    gpus: tuple[GPU, ...] = ()
    compute_class: str = ""

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> BackendReady:
        """Return the message from its fields.

        Raises:
            ValidationError: a field is missing or of a wrong type.
        """
        return TypeAdapter(cls).validate_python(body)


@dataclass(frozen=True, slots=True)
class FilesCompared:
    """The answer to ``CompareFiles``."""

    follows: bool


@dataclass(frozen=True, slots=True)
class Note:
    """What an order that runs and the service tell each other besides progress, statistics and the outcome.

    Attributes:
        subject: what it is about; the reader ignores subjects that it does not know.
        body: JSON of less than 1 MiB; the service has to check what comes from a worker, which a hostile file may
            control.
    """

    subject: str
    body: dict[str, Any] = field(default_factory=dict)


Ending: TypeAlias = Finished | Failed | Stopped | BackendReady | FilesCompared
Message: TypeAlias = Progress | StatsDelta | Note | Ending
_KINDS: dict[str, Callable[[dict[str, Any]], Message]] = {
    kind.__name__: TypeAdapter[Any](kind).validate_python
    for kind in (Progress, Note, Finished, Failed, Stopped, BackendReady, FilesCompared)
}
_KINDS[StatsDelta.__name__] = StatsDelta.from_json


def framed(order: Order) -> bytes:
    """Return an order as the worker reads it from its standard input: its length, then the order, pickled."""
    data = pickle.dumps(order)
    return _LENGTH.pack(len(data)) + data


def receive_order(pipe: IO[bytes]) -> Order:
    """Read the order.

    Raises:
        EOFError: the service ended before it sent one.
    """
    header = pipe.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        raise EOFError("no order")
    order: Order = pickle.loads(pipe.read(_LENGTH.unpack(header)[0]))
    return order


def encode(message: Message) -> bytes:
    """Return a message as one line of JSON."""
    return json.dumps({"kind": type(message).__name__, **asdict(message)}).encode("ascii") + b"\n"


def decode(line: bytes) -> Message:
    """Return the message of one line. Its fields have the declared types, even if a hostile file controls the worker.

    Raises:
        ValueError: the line is not a message.
    """
    try:
        body = json.loads(line)
        message = _KINDS[body.pop("kind")](body)
    except (KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise ValueError(f"no message: {line[:200]!r}") from exc
    if isinstance(message, Finished) and any("/" in name or name in ("", ".", "..") for name in message.files.values()):
        raise ValueError(f"files outside of the job's directory: {message.files}")
    return message
