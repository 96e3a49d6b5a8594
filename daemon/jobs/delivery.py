"""Delivery: finished files go to the outbox, sources to originals; failed sources go to failed with a report.

The moves are recorded in the manifest before they are made. Each move can be repeated, so a crash in between does no
harm. No file is ever replaced.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any, TypeAlias

from daemon.errors import SplitShareError
from daemon.jobs import publication
from daemon.jobs.job import Job
from daemon.jobs.manifest import JobState, Move
from daemon.layout import FAILURE_REPORT
from daemon.share.naming import (
    Namer,
    failed_names,
    first_free,
    names_in,
    original_name,
    original_names,
    output_names,
)
from daemon.share.rename import FileMark, make_dirs, sure_mark
from daemon.share.share import Share, outbox_folder
from pipeline.durable import storage_errors
from pipeline.report.writer import write_report

# Plans the moves of a job into a folder, which is relative to the share's root, under one set of free names.
Planner: TypeAlias = Callable[[Job, PurePath, dict[str, str]], list[Move]]


class Delivery:
    """The last steps of a job. Every method may be called again after a crash or an error."""

    def __init__(self, share: Share) -> None:
        self._share = share

    def deliver(self, job: Job) -> str:
        """Publish a finished job's files, the report last, then retire its source; the job is then DONE.

        Returns:
            The path of the video, relative to the share's root.

        Raises:
            InvalidOutputError: files of the worker are missing or damaged.
            SplitShareError: something is mounted over a folder of the share.
            DiskFullError, StorageError: not possible now; call again later.
        """
        manifest = job.manifest
        with storage_errors("delivering"):
            folder = outbox_folder(job.subfolder)
            self._carry_out(job, manifest.publish, self._share.outbox, folder, output_names, _plan_outputs)
            namer = _with_parts(job, original_names)
            self._carry_out(job, manifest.retire, self._share.originals, job.subfolder, namer, _plan_original)
            video = next(move.target for move in manifest.publish if move.kind == "video")
            job.save(JobState.DONE)
        return video

    def fail(self, job: Job, report: Callable[[], dict[str, Any]]) -> str:
        """Move the unchanged source and a report to failed; the job is then DONE.

        Args:
            report: makes the report; called only if it is not written yet.

        Returns:
            The path of the report, relative to the share's root.

        Raises:
            DiskFullError, StorageError: not possible now; call again later.
        """
        moves = job.manifest.retire
        if not moves:
            write_report(job.folder / FAILURE_REPORT, report())
        with storage_errors("moving a file to failed"):
            namer = _with_parts(job, failed_names)
            self._carry_out(job, moves, self._share.failed, job.subfolder, namer, _plan_failure)
            target = moves[-1].target
            job.save(JobState.DONE)
        return target

    def _carry_out(
        self, job: Job, moves: list[Move], base: Path, subfolder: PurePath, make_names: Namer, plan: Planner
    ) -> None:
        """Make the moves in the manifest; plan and record them first if there are none.

        Args:
            moves: the manifest's own list, which is filled in place.
        """
        folder = make_dirs(base, subfolder)
        names = names_in(folder, make_names, job.source_name)
        done = False
        while not done:
            if not moves:
                _record(job, moves, plan(job, self._share.relative(folder), names(first_free(folder, names))))
            done = self._try_moves(job, moves)

    def _try_moves(self, job: Job, moves: list[Move]) -> bool:
        """Return True if all files are at their targets; False, and clear the list, if a name is taken meanwhile."""
        try:
            if publication.carry_out(moves, job.folder, self._share.root):
                return True
        except OSError as exc:
            if exc.errno != errno.EXDEV:
                raise
            stuck = next(move.target for move in moves if FileMark.of(self._share.root / move.target) != move.mark)
            raise SplitShareError.of([f"{stuck} ({os.strerror(errno.EXDEV).lower()})"]) from exc
        moves.clear()
        return False


def _record(job: Job, moves: list[Move], planned: list[Move]) -> None:
    """Save planned moves in the manifest; if that fails, there are no moves to be made."""
    moves[:] = planned
    try:
        job.save()
    except BaseException:
        moves.clear()
        raise


def _plan_outputs(job: Job, folder: PurePath, names: dict[str, str]) -> list[Move]:
    files = (job.manifest.result or {}).get("files", {})
    video = folder / names["video"]
    return publication.plan_outputs(job.folder, files, folder, names, video=video, attempts=job.manifest.attempts)


def _with_parts(job: Job, make_names: Namer) -> Namer:
    """Return a namer that also names the parts of the recording, with the same number."""

    def namer(source_name: str, number: int, name_max: int) -> dict[str, str]:
        parts = zip(job.parts, job.manifest.parts, strict=True)
        more = {path.name: original_name(PurePath(part).name, number, name_max) for path, part in parts}
        return {**make_names(source_name, number, name_max), **more}

    return namer


def _plan_original(job: Job, folder: PurePath, names: dict[str, str]) -> list[Move]:
    inputs = {"source": job.source, "sidecar": job.sidecar, **{path.name: path for path in job.parts}}
    present = {kind: path.name for kind, path in inputs.items() if sure_mark(path)}
    return [
        publication.plan_move(job.folder, kind, name, folder / names[kind], may_be_empty=True)
        for kind, name in present.items()
    ]


def _plan_failure(job: Job, folder: PurePath, names: dict[str, str]) -> list[Move]:
    report = publication.plan_move(job.folder, "report", FAILURE_REPORT, folder / names["report"])
    return [*_plan_original(job, folder, names), report]
