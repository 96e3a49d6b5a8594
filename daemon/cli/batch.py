"""`dualface process`: the service's work on named files, without a share.

Each file is worked on in a directory under DIR/.dualface that is named after the file and its settings, so a command
that was interrupted goes on where it was when it is given again.
"""

from __future__ import annotations

import hashlib
import json
import os
import selectors
import shutil
import signal
import socket
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import structlog

from daemon.config.settings import Settings
from daemon.errors import DaemonError
from daemon.inbox import sidecar_names
from daemon.inbox.chapter_names import chapter_name
from daemon.jobs import sidecar
from daemon.jobs.job_spec import report_languages
from daemon.jobs.outcome_errors import explain
from daemon.layout import FAILURE_REPORT, STATE_DIR
from daemon.pages.warnings_text import warnings_in
from daemon.share.naming import failed_names, first_free, names_in, output_names, printable
from daemon.share.rename import move_no_replace
from daemon.worker import chapter_check
from daemon.worker.pool import Outcome, WorkerPool
from daemon.worker.protocol import CompareFiles, Finished, RunJob, Stopped
from daemon.worker.spawn import WorkerProcess
from engines.errors import EmptyFileError, ExplainedError
from pipeline.corrections import NO_CORRECTIONS, Corrections
from pipeline.durable import storage_errors, write_durably
from pipeline.errors import DiskFullError, StorageError
from pipeline.job import JobSpec, Progress
from pipeline.report.common import failure_report

_POLL_S = 0.2
_KINDS = ("video", "tracks", "preview", "debug", "html", "report")  # the report last: it says "complete"

log = structlog.get_logger(__name__)


class NoSuchFileError(DaemonError):
    code = "NO_FILE"
    remedy = "Check the path."


_GIVEN_AGAIN = "Give the same command again: it goes on where it was."
_REMEDIES = {  # where a command, unlike the service, does not go on by itself
    DiskFullError("").remedy: "Free space where the results go.",
    StorageError("").remedy: "See to it that the recording can be read and that the results can be written.",
}


class InterruptedJobError(DaemonError):
    code = "INTERRUPTED"
    remedy = _GIVEN_AGAIN


@dataclass(slots=True)
class Item:
    """One file of the command line, and what became of it. ``video`` or ``error`` is set at the end."""

    source: Path
    job: str
    spec: JobSpec
    progress: Progress | None = None
    video: Path | None = None
    verdict: str = ""
    warnings: list[dict[str, Any]] = field(default_factory=list)
    error: ExplainedError | None = None
    report: Path | None = None

    @property
    def ended(self) -> bool:
        return self.video is not None or self.error is not None


@dataclass(slots=True)
class Batch:
    """The files of one command, at most ``slots`` at a time.

    Args:
        on_change: called with an item whenever it moved on.
        on_stop: called when somebody asks for a stop.
        spare: a worker that was started ahead.
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
        """Work on all files, whatever becomes of the others; returns them with their outcome."""
        self._waiting = [item for item in self.items if not item.ended]
        with selectors.DefaultSelector() as selector, self._interruptible() as asked_to_stop:
            stall_timeout_s = self.settings.workers.stall_timeout_s
            pool = WorkerPool(selector, stall_timeout_s=stall_timeout_s, clock=time.monotonic, spare=self.spare)
            while (self._waiting and not self.stopping) or self._running:
                self._fill(pool)
                selector.select(_POLL_S)
                self._take(pool)
                if asked_to_stop() and not self.stopping:
                    self.stopping = True
                    self.on_stop()
                    pool.stop()
        for item in self._waiting:
            self._fail(item, InterruptedJobError("The command was stopped before this file was begun."))
        return self.items

    def _fill(self, pool: WorkerPool) -> None:
        while self._waiting and len(pool) < self.slots and not self.stopping:
            item = self._waiting.pop(0)
            self._running[item.job] = item
            worker_log = log.bind(job=item.job, file=printable(item.spec.input_name))
            limits = self.settings.workers.limits
            pages = report_languages(self.settings)
            order = RunJob(item.spec, nice=0, log_level="warning", limits=limits, report_languages=pages)
            pool.start(item.job, order, worker_log, longest_s=limits.wall_s)

    def _take(self, pool: WorkerPool) -> None:
        for job, outcome in pool.poll():
            self._end(self._running.pop(job), outcome)
        for item in self._running.values():
            progress = pool.progress(item.job)
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
        item.error = _advised(error)
        if not isinstance(error, InterruptedJobError):
            item.report = _write_failure(item, error, self.output)
            if not _may_go_on(error):
                shutil.rmtree(item.spec.work_dir, ignore_errors=True)
        self.on_change(item)

    @contextmanager
    def _interruptible(self) -> Iterator[Callable[[], bool]]:
        """Ctrl-C and SIGTERM ask for a stop instead of ending the program; a second Ctrl-C ends it."""
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
    """Make an item for each file, and its folder; those that cannot be worked on carry their error already."""
    items = plan(files, output, settings, profile, debug_overlay=debug_overlay)
    for item in items:
        try:
            with storage_errors("making the working directory"):
                item.spec.work_dir.mkdir(parents=True, exist_ok=True)
        except ExplainedError as exc:
            item.error = item.error or _advised(exc)
        if item.error is not None:
            item.report = _write_failure(item, item.error, output)
            _remove_if_empty(item.spec.work_dir)
    return items


def plan(files: list[Path], output: Path, settings: Settings, profile: str, *, debug_overlay: bool) -> list[Item]:
    """What would be done with each file, once where it is named twice. It changes nothing."""
    runs = _runs(files, settings, profile)
    items = (_item(run[0], output, settings, profile, debug_overlay, parts=run[1:]) for run in runs)
    return list({item.job: item for item in items}.values())


def _runs(files: list[Path], settings: Settings, profile: str) -> list[list[Path]]:
    """The files, those together that are parts of one recording, by the rule of the service."""
    if settings.profiles[profile].join == "never":
        return [[path] for path in files]
    given = {path.absolute(): path for path in files}
    after = {path: next_part for path in given if (next_part := _next_part(path, given, settings))}
    runs = []
    for path in given:
        if path not in after.values():
            run = [path]
            while run[-1] in after:
                run.append(after[run[-1]])
            runs.append([given[part] for part in run])
    return runs


def _next_part(path: Path, given: Collection[Path], settings: Settings) -> Path | None:
    """The file among those given in which a recording goes on; one with a sidecar of its own is meant by itself."""
    name = chapter_name(str(path))
    if name is None:
        return None
    found = (other for other in given if (one := chapter_name(str(other))) and one.follows(name))
    other = next(found, None)
    if other is None or _sidecars(other):
        return None
    order = CompareFiles(path, other, name.certain, settings.workers.limits)
    return other if chapter_check.follows_elsewhere(order) else None


def foreseen(items: list[Item], output: Path) -> Iterator[tuple[Item, Path]]:
    """The items that would be worked on, and the videos that would come of them."""
    taken: set[str] = set()
    for item in items:
        if item.error is None:
            names_for = names_in(output, output_names, item.source.name)
            names = (names_for(number)["video"] for number in count(first_free(output, names_for)))
            video = next(name for name in names if name not in taken)
            taken.add(video)
            yield item, output / video


def clean_up(output: Path) -> None:
    """Remove the working directory where nothing waits in it."""
    _remove_if_empty(output / STATE_DIR)


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        log.debug("the working directory is kept", path=str(folder))


def _item(
    path: Path, output: Path, settings: Settings, profile: str, debug_overlay: bool, *, parts: Sequence[Path] = ()
) -> Item:
    error = _obstacle(path)
    corrections = NO_CORRECTIONS
    try:
        corrections = _corrections(path, settings)
    except ExplainedError as exc:
        error = error or exc
    profile = corrections.profile or profile
    spec = JobSpec(
        job_id="",
        source=path.absolute(),
        input_name=printable(path),
        work_dir=output.absolute(),
        profile=settings.profiles[profile],
        profile_name=profile,
        device=settings.device,
        limits=settings.limits,
        segments=settings.segments,
        degradation=settings.degradation,
        host=socket.gethostname(),
        debug_overlay=debug_overlay,
        corrections=corrections,
        parts=tuple(part.absolute() for part in parts),
        part_names=tuple(map(printable, parts)),
    )
    job = _job_id(spec)
    return Item(path, job, replace(spec, job_id=job, work_dir=output.absolute() / STATE_DIR / job), error=error)


def _corrections(path: Path, settings: Settings) -> Corrections:
    """What the sidecar beside a file says; here it may be a link to a file.

    Raises:
        CorrectionsError: it cannot be used; SidecarUnclearError: there are several.
    """
    found = _sidecars(path)
    if len(found) > 1:
        raise sidecar_names.unclear([beside.name for beside in found])
    if not found:
        return NO_CORRECTIONS
    if not found[0].is_file():
        raise sidecar.no_text(f"{found[0].name} is {sidecar_names.fault_of(found[0].lstat().st_mode)}")
    return sidecar.read(found[0].resolve(), settings)


def _sidecars(path: Path) -> list[Path]:
    try:
        names = os.listdir(path.parent)  # noqa: PTH208 - names, which need not be paths
    except OSError:  # whoever opens the file meets the same trouble, and names it
        return []
    return [path.with_name(name) for name in sidecar_names.beside(path.name, names)]


def _job_id(spec: JobSpec) -> str:
    """The same file and settings give the same id, so that a second try finds the first one's checkpoint."""
    what = [os.fsdecode(spec.source), spec.profile_name, spec.profile.model_dump(mode="json"), spec.debug_overlay]
    with suppress(OSError):  # a file that is not there has its error already
        for path in (spec.source, *spec.parts):
            found = path.stat()
            what += [found.st_size, found.st_mtime_ns]
    return hashlib.sha256(json.dumps(what).encode("utf-8", "surrogateescape")).hexdigest()[:12]


def _obstacle(path: Path) -> ExplainedError | None:
    if not path.exists():
        return NoSuchFileError(f"There is no file {printable(path)}.")
    if not path.is_file():
        return NoSuchFileError(f"{printable(path)} is not a file.")
    if path.stat().st_size == 0:
        return EmptyFileError(f"{printable(path)} is empty.")
    return None


def _error(outcome: Outcome) -> ExplainedError:
    if isinstance(outcome, Stopped):
        return InterruptedJobError("The command was stopped; what is done so far is kept.")
    return explain(outcome).error()


def _may_go_on(error: ExplainedError) -> bool:
    """Whether the same command may succeed later, with what is done so far."""
    return error.environmental or error.retryable


def _advised(error: ExplainedError) -> ExplainedError:
    """The error with what to do about it here."""
    if _may_go_on(error):
        error.remedy = f"{_REMEDIES.get(error.remedy, error.remedy)} {_GIVEN_AGAIN}"
    return error


def publish(item: Item, outcome: Finished, output: Path) -> Path:
    """Give the finished files their final names, all with one number, overwriting nothing; returns the video.

    Raises:
        OSError: the output directory refuses them.
    """
    work_dir = item.spec.work_dir
    kinds = [kind for kind in _KINDS if kind in outcome.files]
    names_for = names_in(output, output_names, item.source.name)
    while True:
        names = names_for(first_free(output, names_for))
        _name_output(work_dir / outcome.files["report"], output / names["video"])
        with suppress(FileExistsError):
            _move_all([(work_dir / outcome.files[kind], output / names[kind]) for kind in kinds])
            return output / names["video"]


def _move_all(moves: list[tuple[Path, Path]]) -> None:
    """All of them or none: what was moved is taken back where one is refused."""
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            move_no_replace(source, target)
            done.append((source, target))
    except OSError:
        for source, target in done:
            move_no_replace(target, source)
        raise


def _name_output(report_path: Path, video: Path) -> None:
    report = json.loads(report_path.read_bytes())
    report["output"]["path"] = printable(video)
    write_durably(report_path, json.dumps(report, indent=2, ensure_ascii=False).encode())


def _write_failure(item: Item, error: ExplainedError, output: Path) -> Path | None:
    """Explain the failure beside the results, overwriting nothing; None where there is no way to write that."""
    written = item.spec.work_dir / FAILURE_REPORT
    try:
        with storage_errors("writing the report"):
            write_durably(written, json.dumps(failure_report(item.spec, error), indent=2, ensure_ascii=False).encode())
            names_for = names_in(output, _report_name, item.source.name)
            while True:
                path = output / names_for(first_free(output, names_for))["report"]
                with suppress(FileExistsError):
                    move_no_replace(written, path)
                    return path
    except ExplainedError as exc:
        log.warning("no report of the failure", file=item.spec.input_name, reason=exc.message)
        return None


def _report_name(source_name: str, number: int, name_max: int) -> dict[str, str]:
    return {"report": failed_names(source_name, number, name_max)["report"]}
