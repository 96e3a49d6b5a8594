"""Publishing of a job's files: all under one free number, all of them or none, replacing nothing.

The service (``delivery``) and ``dualface process`` both publish with these functions. The service also records the
moves in the manifest, so that it can repeat them after a crash.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath

from daemon.errors import InvalidOutputError
from daemon.files import NO_PLAIN_FILE, read_json
from daemon.jobs.manifest import Move
from daemon.layout import PUBLISHED_REPORT
from daemon.share.naming import Namer, first_free, names_in, valid_text
from daemon.share.rename import FileMark, move_once, sure_mark
from pipeline.durable import write_durably
from pipeline.report.writer import add_delivery, encode_report
from pipeline.workdir import ALWAYS_MADE, OUTPUT_SUFFIXES

_LARGEST_REPORT_BYTES = 50_000_000


def plan_outputs(
    folder: Path,
    files: Mapping[str, str],
    target: PurePath,
    names: Mapping[str, str],
    *,
    video: PurePath,
    attempts: int | None = None,
) -> list[Move]:
    """Plan the moves of a finished job's files, the report last: its presence means that all files are there.

    Args:
        folder: the job's directory.
        files: names of the files in it by kind, as the worker gives them.
        target: the folder to publish in, relative to the root of ``carry_out``.
        names: the names to publish under, by kind.
        video: the path of the video for the report.
        attempts: the number of attempts for the report; None leaves it unchanged.

    Raises:
        InvalidOutputError: a file is missing or empty, or the report cannot be read.
        DiskFullError, StorageError, OSError: the directory cannot be read or written.
    """
    missing = [kind for kind in ALWAYS_MADE if kind not in files]
    if missing:
        raise InvalidOutputError(f"The job ended without its {', '.join(missing)}.")
    _complete_report(folder, files["report"], video, attempts)
    outputs = {kind: files[kind] for kind in OUTPUT_SUFFIXES if kind in files} | {"report": PUBLISHED_REPORT}
    return [plan_move(folder, kind, name, target / names[kind]) for kind, name in outputs.items()]


def plan_move(folder: Path, kind: str, name: str, target: PurePath, *, may_be_empty: bool = False) -> Move:
    """Plan the move of one file.

    Raises:
        InvalidOutputError: the file is missing or empty.
        OSError: the directory cannot be read.
    """
    mark = sure_mark(folder / name)
    if mark is None or (mark.size == 0 and not may_be_empty):
        raise InvalidOutputError(f"The job's {kind} is missing or empty.")
    return Move(kind, name, str(target), mark)


def carry_out(moves: Sequence[Move], folder: Path, root: Path) -> bool:
    """Move files from ``folder`` to their targets below ``root``; calling it again after a crash changes nothing.

    Returns:
        True if all files are at their targets. False if one of the names is taken meanwhile; all moves are undone then.

    Raises:
        OSError: a move failed; the moves before it stay.
    """
    try:
        for move in moves:
            move_once(folder / move.name, root / move.target, move.mark)
    except FileExistsError:
        undo(moves, folder, root)
        return False
    return True


def undo(moves: Sequence[Move], folder: Path, root: Path) -> None:
    """Move those files back into ``folder`` that are at their targets.

    Raises:
        OSError: a move failed.
    """
    for move in reversed(moves):
        target = root / move.target
        if FileMark.of(target) == move.mark:
            move_once(target, folder / move.name, move.mark)


def publish(
    folder: Path, root: Path, source_name: str, make_names: Namer, plan: Callable[[dict[str, str]], list[Move]]
) -> list[Move]:
    """Move files from ``folder`` into ``root`` under the first free number; a failure undoes all moves.

    Args:
        plan: returns the moves for one set of names.

    Returns:
        The moves.

    Raises:
        InvalidOutputError, DiskFullError, StorageError: as ``plan`` does.
        OSError: a move failed.
    """
    names = names_in(root, make_names, source_name)
    while True:
        moves = plan(names(first_free(root, names)))
        try:
            if carry_out(moves, folder, root):
                return moves
        except OSError:
            undo(moves, folder, root)
            raise


def _complete_report(folder: Path, name: str, video: PurePath, attempts: int | None) -> None:
    """Write the report with what is only known now: the final name and the number of attempts."""
    path = folder / name
    if sure_mark(path) is None:
        raise InvalidOutputError("The job's report is missing.")
    try:
        report = read_json(path, _LARGEST_REPORT_BYTES)
        add_delivery(report, valid_text(video), attempts)
        content = encode_report(report)
    except (OSError, ValueError, KeyError, TypeError) as exc:
        if isinstance(exc, OSError) and exc.errno not in NO_PLAIN_FILE:
            raise
        raise InvalidOutputError(f"The job's report cannot be read: {exc}") from exc
    write_durably(folder / PUBLISHED_REPORT, content)
