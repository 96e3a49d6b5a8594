"""The run of `dualface process`: worker processes for named files, without a share.

The work directory of a file is below DIR/.dualface, and its name depends on the file and the settings. So an
interrupted command continues when it is run again.
"""

from __future__ import annotations

import selectors
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import structlog

from daemon.cli.process.items import Item, plan
from daemon.cli.process.results import InterruptedJobError, may_continue, publish, with_advice, write_failure
from daemon.config.settings import Settings
from daemon.executor.crews import Crews
from daemon.executor.local import LocalExecutor
from daemon.executor.protocol import Executor, Outcome
from daemon.jobs.job_spec import report_languages
from daemon.jobs.outcome_errors import explain
from daemon.layout import STATE_DIR
from daemon.pages.warnings_text import warnings_in
from daemon.share.naming import printable
from daemon.worker.protocol import Finished, RunJob, Stopped
from daemon.worker.spawn import WorkerProcess
from engines.errors import ExplainedError
from pipeline.durable import storage_errors

_POLL_S = 0.2

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Batch:
    """Processes the items of one command.

    Args:
        slots: the number of workers that may run at the same time.
        on_change: called with an item after each progress and at its end.
        on_stop: called once when a stop is requested.
        spare: a worker process that was started ahead.
    """

    settings: Settings
    output: Path
    items: list[Item]
    slots: int
    on_change: Callable[[Item], None]
    on_stop: Callable[[], None]
    spare: WorkerProcess | None = None
    stopping: bool = False
    _waiting: list[Item] = field(default_factory=list)
    _running: dict[str, Item] = field(default_factory=dict)

    def run(self) -> list[Item]:
        """Process all items; return them with their results. A failure does not affect the others."""
        self._waiting = [item for item in self.items if not item.ended]
        with selectors.DefaultSelector() as selector, self._interruptible() as asked_to_stop:
            executor = LocalExecutor(selector, self.settings, clock=time.monotonic, spare=self.spare)
            crews = Crews(executor)
            while (self._waiting and not self.stopping) or self._running:
                self._fill(executor, crews)
                crews.staff()
                selector.select(_POLL_S)
                self._poll(executor, crews)
                if asked_to_stop() and not self.stopping:
                    self.stopping = True
                    self.on_stop()
                    executor.stop_all()
        for item in self._waiting:
            self._fail(item, InterruptedJobError("The command was stopped before this file was started."))
        return self.items

    def _fill(self, executor: Executor, crews: Crews) -> None:
        place = executor.places[0]  # the settings name the device; what counts here is the room
        while self._waiting and len(self._running) < self.slots and executor.room(place) and not self.stopping:
            item = self._waiting.pop(0)
            self._running[item.job] = item
            worker_log = log.bind(job=item.job, file=printable(item.spec.input_name))
            limits, split = self.settings.workers.limits, self.settings.cluster.split
            pages = report_languages(self.settings)
            order = RunJob(item.spec, 0, "warning", limits, report_languages=pages, split=split)
            crews.prepare(item.job, order, worker_log, place)
            executor.start(item.job, order, worker_log, place=place, longest_s=limits.wall_s)

    def _poll(self, executor: Executor, crews: Crews) -> None:
        for job, outcome in executor.poll():
            if not crews.end(job, outcome):
                self._end(self._running.pop(job), outcome)
        for item in self._running.values():
            progress = executor.progress(item.job)
            if progress is not None and progress != item.progress:
                item.progress = progress
                self.on_change(item)

    def _end(self, item: Item, outcome: Outcome) -> None:
        if not isinstance(outcome, Finished):
            self._fail(item, _error(outcome))
            return
        try:
            with storage_errors("delivering the output"):
                item.video = publish(item, outcome, self.output)
        except ExplainedError as exc:
            self._fail(item, exc)
            return
        item.verdict, item.warnings = outcome.verdict, warnings_in(outcome.facts)
        shutil.rmtree(item.spec.work_dir, ignore_errors=True)
        self.on_change(item)

    def _fail(self, item: Item, error: ExplainedError) -> None:
        item.error = with_advice(error)
        if not isinstance(error, InterruptedJobError):
            item.report = write_failure(item, error, self.output)
            if not may_continue(error):
                shutil.rmtree(item.spec.work_dir, ignore_errors=True)
        self.on_change(item)

    @contextmanager
    def _interruptible(self) -> Iterator[Callable[[], bool]]:
        """Turn Ctrl-C and SIGTERM into the request for a stop; a second Ctrl-C ends the program."""
        asked: list[int] = []

        def handle(number: int, _frame: FrameType | None) -> None:
            if asked and number == signal.SIGINT:
                raise KeyboardInterrupt
            asked.append(number)

        before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield lambda: bool(asked)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def prepare(files: list[Path], output: Path, settings: Settings, profile: str, *, debug_overlay: bool) -> list[Item]:
    """Make an item and a work directory for each recording; set the error of those that cannot be processed."""
    items = plan(files, output, settings, profile, debug_overlay=debug_overlay)
    for item in items:
        try:
            with storage_errors("making the working directory"):
                item.spec.work_dir.mkdir(parents=True, exist_ok=True)
        except ExplainedError as exc:
            item.error = item.error or with_advice(exc)
        if item.error is not None:
            item.report = write_failure(item, item.error, output)
            _remove_if_empty(item.spec.work_dir)
    return items


def clean_up(output: Path) -> None:
    """Remove the directory of the work directories if it is empty."""
    _remove_if_empty(output / STATE_DIR)


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        log.debug("the working directory is kept", path=str(folder))


def _error(outcome: Outcome) -> ExplainedError:
    if isinstance(outcome, Stopped):
        return InterruptedJobError("The command was stopped; what is done so far is kept.")
    return explain(outcome).error()
