"""The reports in failed go with their files: whoever moves one away, to try it again or for good, leaves none behind.

A report is removed when its file was missing in two looks with some time in between, as a delivery puts the file
there just before its report and a network share may show the second first.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import structlog

from daemon.clock import Clock
from daemon.errors import SourceGoneError
from daemon.files import read_json
from daemon.layout import FAILURE_REPORT_SUFFIX, SIDECAR_SUFFIX
from daemon.share.naming import name_max_bytes, printable, short_stem, valid_text
from daemon.status.model import History
from pipeline.report.model import SCHEMA

LARGEST_BYTES = 1_000_000
_TIME_SHARE = 0.02  # a look at a large or slow folder may take this part of the time

log = structlog.get_logger(__name__)


class FailedFolder:
    """Looks through failed now and then, and keeps the history of failures true.

    Args:
        root: of the share; history: of this service, whose failures leave it with their reports.
        interval_s: time between two looks, at least.
    """

    def __init__(self, root: Path, failed: Path, history: History, *, interval_s: float, clock: Clock) -> None:
        self._root = root
        self._failed = failed
        self._history = history
        self._interval_s = interval_s
        self._clock = clock
        self._next_at = clock()
        self._alone: set[Path] = set()

    def advance(self) -> None:
        """Look, if it is time."""
        begun = self._clock()
        if begun < self._next_at:
            return
        self._look()
        ended = self._clock()
        self._next_at = ended + max(self._interval_s, (ended - begun) / _TIME_SHARE)

    def _look(self) -> None:
        reports = dict(_reports(self._failed))
        alone = {path for path, has_file in reports.items() if not has_file}
        gone = {path for path in alone & self._alone if _remove(path)}
        self._alone = alone - gone
        present = {valid_text(path.relative_to(self._root)) for path in reports.keys() - gone}
        self._forget_all_but(present)

    def _forget_all_but(self, present: set[str]) -> None:
        failed = self._history.failed
        if any(job.report and job.report not in present for job in failed):
            kept = (job for job in failed if not job.report or job.report in present)
            self._history.failed = deque(kept, maxlen=failed.maxlen)


def _reports(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Each report, and whether the file that it is about lies beside it."""
    for directory, _, names in os.walk(folder):
        limit = name_max_bytes(Path(directory))
        reports = [name for name in names if name.endswith(FAILURE_REPORT_SUFFIX)]
        files = [name for name in names if not name.endswith((FAILURE_REPORT_SUFFIX, SIDECAR_SUFFIX))]
        stems = {os.path.splitext(name)[0] for name in files} | {short_stem(name, limit) for name in files}  # noqa: PTH122
        yield from ((Path(directory, name), name.removesuffix(FAILURE_REPORT_SUFFIX) in stems) for name in reports)


def _remove(path: Path) -> bool:
    """Remove a report, if it is one of ours and not all that is left of a failure."""
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
