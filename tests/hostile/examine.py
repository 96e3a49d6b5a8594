"""Puts files through the service's real worker processes and reports the outcome of each."""

from __future__ import annotations

import json
import selectors
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import structlog

from daemon.config.settings import Settings, WorkerLimits
from daemon.executor.local import LocalExecutor
from daemon.executor.protocol import Died, Executor, Outcome, Overdue, Stalled
from daemon.jobs.outcome_errors import explain
from daemon.worker.protocol import Failed, Finished, RunJob
from pipeline.job import JobSpec
from pipeline.report.common import failure_report
from tests.hostile.mutations import Mutant

WALL_S = 120.0
LIMITS = WorkerLimits(wall_s=WALL_S, cpu_s=240, address_space_bytes=6 * 2**30, file_bytes=2**30, open_files=256)
SETTINGS = Settings.model_validate(
    {
        "workers": {"stall_timeout_s": WALL_S, "limits": LIMITS.model_dump()},
        "device": {"backend": "cpu"},
        "profiles": {"default": {"preset": "ultrafast", "crf": 40, "threads": 1}},
    }
)
_POLL_S = 0.05
_OUR_OWN = {"INTERNAL", "VERIFICATION_FAILED", "ENCODE_FAILED"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one file. ``trouble`` is "" where that is explained as it should be."""

    name: str
    recipe: str
    code: str
    message: str
    trouble: str
    wall_s: float
    peak_bytes: int  # 0 where it was not measured


@dataclass(slots=True)
class _Run:
    mutant: Mutant
    spec: JobSpec
    begun: float
    peak_bytes: int = 0


class Examiner:
    """Runs a worker for each file, as the service does, ``slots`` at a time.

    Args:
        folder: for the files and their work; what was troublesome stays there.
    """

    def __init__(self, folder: Path, *, slots: int = 1) -> None:
        self._folder = folder
        self._slots = slots
        self._running: dict[str, _Run] = {}

    def run(self, mutants: Iterable[Mutant]) -> Iterator[Finding]:
        """Examine all; yields findings as the workers end."""
        waiting = iter(mutants)
        with selectors.DefaultSelector() as selector:
            executor = LocalExecutor(selector, SETTINGS, clock=time.monotonic)
            try:
                while self._fill(executor, waiting):
                    time.sleep(_POLL_S)
                    self._watch()
                    yield from (self._end(job, outcome) for job, outcome in executor.poll())
            finally:
                executor.kill_all()

    def _fill(self, executor: Executor, waiting: Iterator[Mutant]) -> bool:
        while len(self._running) < self._slots and (mutant := next(waiting, None)):
            spec = self._spec(mutant)
            self._running[spec.job_id] = _Run(mutant, spec, time.monotonic())
            order = RunJob(spec, nice=0, log_level="error", limits=LIMITS)
            executor.start(spec.job_id, order, structlog.get_logger("worker").bind(file=mutant.name), longest_s=WALL_S)
        return bool(self._running)

    def _spec(self, mutant: Mutant) -> JobSpec:
        work_dir = self._folder / f"{mutant.name}.work"
        work_dir.mkdir(parents=True)
        source = self._folder / mutant.name
        source.write_bytes(mutant.content)
        return JobSpec(
            job_id=mutant.name,
            source=source,
            input_name=mutant.name,
            work_dir=work_dir,
            profile=SETTINGS.profiles["default"],
            device=SETTINGS.device,
            limits=SETTINGS.limits,
        )

    def _watch(self) -> None:
        """Note the memory of the only worker there is; with several, it cannot be assigned."""
        if self._slots == 1:
            for run in self._running.values():
                run.peak_bytes = max([run.peak_bytes, *map(_rss, psutil.Process().children())])

    def _end(self, job: str, outcome: Outcome) -> Finding:
        run = self._running.pop(job)
        code, message, trouble = judge(run.spec, outcome)
        shutil.rmtree(run.spec.work_dir)
        if not trouble:
            run.spec.source.unlink()
        took_s = round(time.monotonic() - run.begun, 2)
        return Finding(run.mutant.name, run.mutant.recipe, code, message, trouble, took_s, run.peak_bytes)


def judge(spec: JobSpec, outcome: Outcome) -> tuple[str, str, str]:
    """An outcome's code and message, and what is wrong with it as an outcome; "" where it is as it should be."""
    if isinstance(outcome, Finished):
        return outcome.status.upper(), outcome.verdict, _wrong_with_result(spec, outcome)
    failure = explain(outcome)
    return failure.code, failure.message, _wrong_with_failure(spec, outcome, failure)


def _wrong_with_result(spec: JobSpec, outcome: Finished) -> str:
    missing = [name for name in outcome.files.values() if not (spec.work_dir / name).stat().st_size]
    report = json.loads((spec.work_dir / outcome.files["report"]).read_bytes())
    if missing or report["status"] != outcome.status or report["output"]["frames"] != outcome.frames:
        return "the result is not what the worker says"
    return "" if outcome.frames > 0 else "a result without frames"


def _wrong_with_failure(spec: JobSpec, outcome: Outcome, failure: Failed) -> str:
    if isinstance(outcome, Stalled | Overdue):
        return "it hangs"
    if isinstance(outcome, Died):
        return "" if outcome.signal_name else "the worker ended without a word"
    if failure.environmental:
        return "the file passes for trouble of the environment, and would be tried for ever"
    if failure.code in _OUR_OWN:
        return "the file passes for a fault of our own"
    if not failure.message or not failure.remedy:
        return "it is not explained"
    report = json.dumps(failure_report(spec, failure.for_report()), ensure_ascii=False).encode()
    return "" if json.loads(report)["error"]["code"] == failure.code else "the report does not say why"


def to_json(finding: Finding) -> str:
    return json.dumps(asdict(finding), ensure_ascii=False)


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
