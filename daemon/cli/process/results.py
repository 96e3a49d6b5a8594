"""The results of `dualface process`: published files, reports of failures, and advice for another try."""

from __future__ import annotations

from pathlib import Path, PurePath

import structlog

from daemon.cli.process.items import Item
from daemon.errors import DaemonError
from daemon.jobs import publication
from daemon.jobs.manifest import Move
from daemon.layout import FAILURE_REPORT
from daemon.remedies import remedy_of
from daemon.share.naming import failed_names, output_names
from daemon.worker.protocol import Failed, Finished
from engines.errors import ExplainedError
from pipeline.durable import storage_errors
from pipeline.errors import DiskFullError, StorageError
from pipeline.report.common import failure_report
from pipeline.report.writer import write_report

log = structlog.get_logger(__name__)

_RUN_AGAIN = "Give the same command again: it continues where it stopped."
_REMEDIES = {  # a command, unlike the service, does not continue by itself
    remedy_of(DiskFullError("")): "Free space where the results go.",
    remedy_of(StorageError("")): "Make sure that the recording can be read and that the results can be written.",
}


class InterruptedJobError(DaemonError):
    code = "INTERRUPTED"
    remedy = _RUN_AGAIN


def may_continue(error: ExplainedError) -> bool:
    """Return whether the same command may succeed later, with what is done so far."""
    return error.environmental or error.retryable


def with_advice(error: ExplainedError) -> ExplainedError:
    """Return the error with a remedy that fits the command."""
    if isinstance(error, InterruptedJobError):
        return error
    advised = Failed.of(error).error()
    if may_continue(error):
        advised.remedy = f"{_REMEDIES.get(advised.remedy, advised.remedy)} {_RUN_AGAIN}"
    return advised


def publish(item: Item, outcome: Finished, output: Path) -> Path:
    """Publish the files of a finished job in the output folder, and return the path of the video.

    Raises:
        InvalidOutputError: files of the worker are missing or damaged.
        OSError: the output folder cannot be written.
    """
    work_dir = item.spec.work_dir

    def plan(names: dict[str, str]) -> list[Move]:
        return publication.plan_outputs(work_dir, outcome.files, PurePath(), names, video=output / names["video"])

    moves = publication.publish(work_dir, output, item.source.name, output_names, plan)
    return output / next(move.target for move in moves if move.kind == "video")


def write_failure(item: Item, error: ExplainedError, output: Path) -> Path | None:
    """Write the report of a failure into the output folder, and return its path; None if that is not possible."""
    work_dir = item.spec.work_dir

    def plan(names: dict[str, str]) -> list[Move]:
        return [publication.plan_move(work_dir, "report", FAILURE_REPORT, PurePath(names["report"]))]

    try:
        with storage_errors("writing the report"):
            write_report(work_dir / FAILURE_REPORT, failure_report(item.spec, Failed.of(error).for_report()))
            (move,) = publication.publish(work_dir, output, item.source.name, _report_name, plan)
            return output / move.target
    except ExplainedError as exc:
        log.warning("no report of the failure", file=item.spec.input_name, reason=exc.message)
        return None


def _report_name(source_name: str, number: int, name_max: int) -> dict[str, str]:
    return {"report": failed_names(source_name, number, name_max)["report"]}
