"""The worker process: it does one job and ends. Only here does the service open media.

Every job gets a new process, so that no memory, descriptor or broken device context outlives a job.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import structlog

from daemon.errors import JobBusyError, LeaseLostError, ResourceLimitError
from daemon.files import open_lock
from daemon.gc_pause import gc_paused
from daemon.layout import LOCK_FILE
from daemon.logs import configure_worker
from daemon.share import leases
from daemon.share.leases import LOCKS_UNKNOWN
from daemon.share.naming import printable
from daemon.worker import backend_check, chapter_check, sandbox
from daemon.worker.part_work import LEAST_SPLIT_S, PipeCrew
from daemon.worker.protocol import (
    CheckBackend,
    CompareFiles,
    Ending,
    Failed,
    Finished,
    Order,
    RunJob,
    Stopped,
)
from daemon.worker.service_link import ServiceLink
from engines.cuda.gpu_selection import see_only
from engines.errors import ExplainedError, causes
from pipeline.durable import storage_errors
from pipeline.errors import DiskFullError, JobStopped, PipelineError, StorageError


def main() -> None:
    """Entry point: ``python -m daemon.worker.main MESSAGES_FD SERVICE_PID``."""
    messages_fd, service_pid = int(sys.argv[1]), int(sys.argv[2])
    sandbox.die_with(service_pid)
    os.dup2(2, 1)  # so that the prints of libraries are not mistaken for output
    with os.fdopen(messages_fd, "wb", buffering=0) as pipe:
        code = _run(ServiceLink(sys.stdin.buffer, pipe))
    # No interpreter teardown: native threads of codecs and runtimes may hang in it, and everything is on disk.
    os._exit(code)


def _load() -> None:
    """Load the pipeline while the order is on its way. A missing library raises when it is needed."""
    with suppress(Exception), gc_paused():
        import pipeline.runner  # noqa: F401, PLC0415 - the service itself must never load codecs


def _run(service: ServiceLink) -> int:
    """Receive the order, carry it out and send the outcome; return the exit status."""
    sandbox.leave_network()
    _load()
    try:
        order = service.receive_order()
    except EOFError:  # the service ended before it sent an order
        return 0
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: service.request_stop())
    service.send(_outcome(order, service))
    return 0


def _outcome(order: Order, service: ServiceLink) -> Ending:
    try:
        return _carry_out(order, service)
    except JobStopped:
        return Stopped()
    except ExplainedError as exc:
        return Failed.of(_explain(order, exc))
    except Exception as exc:
        structlog.get_logger(__name__).exception("the worker failed")
        error = PipelineError(f"The program failed: {type(exc).__name__}: {exc}")
        error.__cause__ = exc
        return Failed.of(_explain(order, error))


def _carry_out(order: Order, service: ServiceLink) -> Ending:
    if isinstance(order, RunJob):
        return _work(order, service)
    if isinstance(order, CompareFiles):
        return chapter_check.compare(order)
    if isinstance(order, CheckBackend):
        return backend_check.check_backend(order)
    return order.carry_out(service)


def _work(order: RunJob, service: ServiceLink) -> Finished:
    os.nice(order.nice)
    sandbox.limit(order.limits, order.spec.device.backend)
    configure_worker(order.log_level, job=order.spec.job_id, file=printable(order.spec.input_name), stage="working")
    with storage_errors("working on the job"), _only_writer(order.spec.work_dir):
        from pipeline.runner import run_job  # noqa: PLC0415 - the service itself must never load codecs

        result = run_job(
            replace(order.spec, device=see_only(order.spec.device)),
            on_progress=service.send,
            should_stop=service.should_stop,
            confirm_ownership=lambda: _confirm(order),
            on_stats=service.send,
            gather_crew=None if order.split == "never" else lambda seconds: _crew(order, service, seconds),
        )
        if order.report_languages:
            from daemon.pages.report_page import add_report_page  # noqa: PLC0415 - likewise

            result = add_report_page(result, order.report_languages)
        _confirm(order)
    return Finished.of(result)


def _crew(order: RunJob, service: ServiceLink, seconds: float) -> PipeCrew | None:
    """Ask for part workers; None if there are none, or if the rest of the recording is too short to gain by them."""
    if order.split == "auto" and seconds < LEAST_SPLIT_S:
        return None
    return PipeCrew.gather(service)


def _confirm(order: RunJob) -> None:
    """Raise LeaseLostError if another host has taken the job over, so that nothing more may be written."""
    if order.lease is not None:
        leases.confirm(order.spec.work_dir, order.lease)


def _explain(order: Order, error: ExplainedError) -> ExplainedError:
    """Return the error, or a more precise one from what the job itself cannot know.

    If the source cannot be found any more, the share has gone and the file is not at fault. What looks like a failure
    of the storage or of the program may be a limit of the process.
    """
    if isinstance(error, LeaseLostError | DiskFullError):
        return error
    if isinstance(order, RunJob) and not os.access(order.spec.source, os.F_OK):
        return StorageError(f"The source cannot be reached: {error.message}")
    if name := _exceeded_limit(error):
        return ResourceLimitError.of(name)
    return error


def _exceeded_limit(error: ExplainedError) -> str | None:
    """Return the name of the limit that caused an error; None if none did."""
    if sandbox.memory_ran_out(error):
        return "address_space_bytes"
    if any(isinstance(cause, OSError) and cause.errno == errno.EMFILE for cause in causes(error)):
        return "open_files"
    return None


@contextmanager
def _only_writer(work_dir: Path) -> Iterator[None]:
    """Hold the job's lock: the worker of a service that was killed may still be running.

    Raises:
        JobBusyError: another process works on the job.
    """
    with open_lock(work_dir / LOCK_FILE) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise JobBusyError("Another worker process still works on this file.") from exc
        except OSError as exc:
            if exc.errno not in LOCKS_UNKNOWN:
                raise
        yield


if __name__ == "__main__":
    main()
