"""Removal of reports in ``failed`` whose files have been moved away.

A report is removed if its file was missing in two scans: a job puts the file there just before its report, and a
network share may show the report first.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import structlog

from daemon.clock import Clock, Every
from daemon.errors import SourceGoneError
from daemon.files import read_json
from daemon.layout import FAILURE_REPORT_SUFFIX, SIDECAR_SUFFIX
from daemon.share.naming import name_max_bytes, printable, short_stem, valid_text
from daemon.status.model import History
from pipeline.report.model import SCHEMA

LARGEST_BYTES = 1_000_000
_TIME_SHARE = 0.02  # scans of a large or slow folder may take this part of the time

log = structlog.get_logger(__name__)


class FailedFolder:
    """Scans ``failed`` now and then, and removes from the history what was moved away.

    Args:
        root: of the share.
        history: of this service; a failure leaves it together with its report.
        interval_s: shortest time between two scans.
    """

    def __init__(self, root: Path, failed: Path, history: History, *, interval_s: float, clock: Clock) -> None:
        self._root = root
        self._failed = failed
        self._history = history
        self._interval_s = interval_s
        self._clock = clock
        self._scans = Every(interval_s, clock)
        self._alone: set[Path] = set()

    def advance(self) -> None:
        """Scan the folder, if it is time."""
        begun = self._clock()
        if self._scans.due():
            self._scan()
            self._scans.postpone(max(self._interval_s, (self._clock() - begun) / _TIME_SHARE))

    def _scan(self) -> None:
        reports = dict(_reports(self._failed))
        alone = {path for path, has_file in reports.items() if not has_file}
        gone = {path for path in alone & self._alone if _remove(path)}
        self._alone = alone - gone
        present = {valid_text(path.relative_to(self._root)) for path in reports.keys() - gone}
        self._forget_all_but(present)

    def _forget_all_but(self, present: set[str]) -> None:
        failed = self._history.failed
        if any(job.report and job.report not in present for job in failed):
            kept = [job for job in failed if not job.report or job.report in present]
            failed.clear()
            failed.extend(kept)


def _reports(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Yield each report, and whether its file lies beside it."""
    for directory, _, names in os.walk(folder):
        limit = name_max_bytes(Path(directory))
        reports = [name for name in names if name.endswith(FAILURE_REPORT_SUFFIX)]
        files = [name for name in names if not name.endswith((FAILURE_REPORT_SUFFIX, SIDECAR_SUFFIX))]
        stems = {os.path.splitext(name)[0] for name in files} | {short_stem(name, limit) for name in files}  # noqa: PTH122
        yield from ((Path(directory, name), name.removesuffix(FAILURE_REPORT_SUFFIX) in stems) for name in reports)


def _remove(path: Path) -> bool:
    """Remove a report, if the service wrote it and the failed job had a file; return whether it is gone."""
    try:
        report = read_json(path, LARGEST_BYTES)
        ours = report["schema"] == SCHEMA and report["status"] == "failed"
        if not ours or report["error"]["code"] == SourceGoneError.code:
            return False
        path.unlink()
    except FileNotFoundError:
        return True
    except (OSError, ValueError, KeyError, TypeError) as exc:
        log.debug("report left alone", file=printable(path.name), reason=str(exc))
        return False
    log.info("report removed, because its file has left failed", file=printable(path.name))
    return True
