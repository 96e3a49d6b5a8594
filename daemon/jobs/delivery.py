"""Handing over: finished files to the outbox, sources to originals, failures with their explanation to failed.

Which file goes where is written into the manifest first, then done. Every move can be repeated, so a crash in
between costs nothing, and no name is ever taken from a file that is there already.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any, TypeAlias

from daemon.errors import InvalidOutputError, SplitShareError
from daemon.files import NO_PLAIN_FILE, read_json
from daemon.jobs.job import Job
from daemon.jobs.manifest import JobState, Move
from daemon.layout import FAILURE_REPORT, PART, PUBLISHED_REPORT
from daemon.share.naming import (
    Namer,
    failed_names,
    first_free,
    names_in,
    original_name,
    original_names,
    output_names,
    valid_text,
)
from daemon.share.rename import FileMark, make_dirs, move_once, sure_mark
from daemon.share.share import Share, outbox_folder
from pipeline.durable import storage_errors, write_durably

_LARGEST_BYTES = 50_000_000  # of a report
_OUTPUT_ORDER = ("video", "tracks", "preview", "debug", "html")  # the report follows: its presence says "complete"

# Decides on the moves for one set of free names; the mirrored subfolder goes before each name.
Planner: TypeAlias = Callable[[Job, PurePath, dict[str, str]], list[Move]]


class Delivery:
    """The last steps of a job. Every method may be called again after a crash or an error."""

    def __init__(self, share: Share) -> None:
        self._share = share

    def deliver(self, job: Job) -> str:
        """Publish a finished job's files, the report last, then retire its source; the job is then DONE.

        Returns:
            The video's path, relative to the share's root.

        Raises:
            InvalidOutputError: the worker's files are not what it said.
            SplitShareError: something is mounted over a folder of the share.
            DiskFullError, StorageError: not now; call again later.
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
        """Put the untouched source and the explanation into failed; the job is then DONE.

        Returns:
            The report's path, relative to the share's root.

        Raises:
            DiskFullError, StorageError: not now; call again later.
        """
        moves = job.manifest.retire
        if not moves:
            write_durably(job.folder / FAILURE_REPORT, _to_json(report()))
        with storage_errors("moving a file to failed"):
            namer = _with_parts(job, failed_names)
            self._carry_out(job, moves, self._share.failed, job.subfolder, namer, _plan_failure)
            target = moves[-1].target
            job.save(JobState.DONE)
        return target

    def _carry_out(
        self, job: Job, moves: list[Move], base: Path, subfolder: PurePath, make_names: Namer, plan: Planner
    ) -> None:
        """Do the moves that the manifest holds; decide on them first where it holds none.

        ``moves`` is the manifest's own list, filled in place.
        """
        folder = make_dirs(base, subfolder)
        names = names_in(folder, make_names, job.source_name)
        done = False
        while not done:
            if not moves:
                _decide(job, moves, plan(job, self._share.relative(folder), names(first_free(folder, names))))
            done = self._try_moves(job, moves)

    def _try_moves(self, job: Job, moves: list[Move]) -> bool:
        """True when all files are at their targets; False, and all taken back, where a name was taken meanwhile."""
        try:
            for move in moves:
                move_once(job.folder / move.name, self._share.root / move.target, move.mark)
        except FileExistsError:
            self._take_back(job, moves)
            return False
        except OSError as exc:
            if exc.errno != errno.EXDEV:
                raise
            raise SplitShareError.of([f"{move.target} ({os.strerror(errno.EXDEV).lower()})"]) from exc
        return True

    def _take_back(self, job: Job, moves: list[Move]) -> None:
        for move in reversed(moves):
            target = self._share.root / move.target
            if FileMark.of(target) == move.mark:
                move_once(target, job.folder / move.name, move.mark)
        moves.clear()


def _decide(job: Job, moves: list[Move], planned: list[Move]) -> None:
    """Enter moves into the manifest; what could not be written down there is not decided on, and never done."""
    moves[:] = planned
    try:
        job.save()
    except BaseException:
        moves.clear()
        raise


def _plan_outputs(job: Job, folder: PurePath, names: dict[str, str]) -> list[Move]:
    files = (job.manifest.result or {}).get("files", {})
    missing = [kind for kind in ("video", "tracks", "preview", "report") if kind not in files]
    if missing:
        raise InvalidOutputError(f"The job ended without its {', '.join(missing)}.")
    _write_report(job, job.folder / files["report"], str(folder / names["video"]))
    outputs = {kind: files[kind] for kind in _OUTPUT_ORDER if kind in files}
    return [
        _move(job, kind, name, folder / names[kind]) for kind, name in (*outputs.items(), ("report", PUBLISHED_REPORT))
    ]


def _with_parts(job: Job, make_names: Namer) -> Namer:
    """The same names, and those of the parts of the recording, which go along under the same number."""

    def namer(source_name: str, number: int, name_max: int) -> dict[str, str]:
        parts = zip(job.parts, job.manifest.parts, strict=True)
        more = {path.name: original_name(PurePath(part).name, number, name_max) for path, part in parts}
        return {**make_names(source_name, number, name_max), **more}

    return namer


def _plan_original(job: Job, folder: PurePath, names: dict[str, str]) -> list[Move]:
    inputs = {"source": job.source, "sidecar": job.sidecar, **{path.name: path for path in job.parts}}
    present = {kind: path.name for kind, path in inputs.items() if sure_mark(path)}
    return [_move(job, kind, name, folder / names[kind]) for kind, name in present.items()]


def _plan_failure(job: Job, folder: PurePath, names: dict[str, str]) -> list[Move]:
    return [*_plan_original(job, folder, names), _move(job, "report", FAILURE_REPORT, folder / names["report"])]


def _move(job: Job, kind: str, name: str, target: PurePath) -> Move:
    mark = sure_mark(job.folder / name)
    if mark is None or (mark.size == 0 and not _is_input(kind)):
        raise InvalidOutputError(f"The job's {kind} is missing or empty.")
    return Move(kind, name, str(target), mark)


def _is_input(kind: str) -> bool:
    return kind in ("source", "sidecar") or kind.startswith(PART)


def _write_report(job: Job, path: Path, video: str) -> None:
    """The report with what only delivery knows: the final name and the number of attempts."""
    if sure_mark(path) is None:
        raise InvalidOutputError("The job's report is missing.")
    try:
        report = read_json(path, _LARGEST_BYTES)
        report["output"]["path"] = valid_text(video)
        report["resilience"]["attempts"] = job.manifest.attempts
    except (OSError, ValueError, KeyError, TypeError) as exc:
        if isinstance(exc, OSError) and exc.errno not in NO_PLAIN_FILE:
            raise
        raise InvalidOutputError(f"The job's report cannot be read: {exc}") from exc
    write_durably(job.folder / PUBLISHED_REPORT, _to_json(report))


def _to_json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"
