"""Recognition of files that have stopped growing but are incomplete, because a copy or download has stalled.

Signs: the end was never written, the outermost boxes are longer than the file, an MP4 has no index yet, or the marker
file of a download is beside it. Such a file waits, and is claimed as it is after ``settle.unfinished_s``, as some
recordings are never completed.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import BinaryIO

import structlog

from daemon.clock import Clock, utc_now
from daemon.errors import DaemonError
from daemon.inbox import ignored_names as ignored
from daemon.inbox.scanner import Found
from daemon.inbox.stability import Signature
from daemon.remedies import log_fields
from daemon.share.naming import printable
from daemon.share.rename import open_folder
from engines.containers import sniff

_BLOCK_BYTES = 4096  # of most file systems; smaller holes are not visible
_MOST_TAIL_BYTES = 65_536  # the smallest write of copies through SMB
_TAIL_SHARE = 16  # the tail of a small file is a sixteenth of it
_LEAST_WRITTEN = 0.5  # share of a file with holes: downloads write several parts at the same time
_CHECK_EVERY_S = 2.0  # at an unchanged file, as a download's marker may have gone
_MOST_BOXES = 200  # each is a read from the share
_MIB = 2**20

log = structlog.get_logger(__name__)


class UnfinishedError(DaemonError):
    """A file has stopped growing but is incomplete."""


class CopyStalledError(UnfinishedError):
    code = "COPY_STALLED"
    remedy = "Check whether the copy still runs, or copy the file again. After a long wait the file is taken as it is."


class IndexMissingError(UnfinishedError):
    code = "INDEX_MISSING"
    remedy = "Wait for the end of the copy or recording. After a long wait the file is taken as it is."


class DownloadRunsError(UnfinishedError):
    code = "DOWNLOAD_RUNS"
    remedy = "Wait for the end of the download or export, or remove the file that marks it."


class PartsArriveError(UnfinishedError):
    code = "PARTS_ARRIVE"
    remedy = "Nothing to do: it is taken if no further part arrives within settle.chapters_s."


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a file waits, and since when (wall-clock time)."""

    why: DaemonError
    since: str


@dataclass(frozen=True, slots=True)
class _Held(Waiting):
    signature: Signature
    since_s: float  # on the monotonic clock, like check_at_s
    check_at_s: float


class Arrivals:
    """The settled but incomplete files of one inbox.

    Args:
        longest_wait_s: how long such a file waits after its last change.
    """

    def __init__(self, folder: Path, longest_wait_s: float, clock: Clock) -> None:
        self._folder = folder
        self._longest_wait_s = longest_wait_s
        self._clock = clock
        self._waiting: dict[str, _Held] = {}

    @property
    def reasons(self) -> Mapping[str, Waiting]:
        """The files that wait, and why."""
        return {file: wait for file, wait in sorted(self._waiting.items()) if not self._has_waited(wait)}

    def keys(self) -> set[str]:
        """The files that wait."""
        return set(self._waiting)

    def admit(self, found: Found) -> bool:
        """Return whether a file is complete or has waited long enough; if not, it is held (see ``holds``)."""
        before = self._waiting.get(found.relative)
        if before and before.signature != found.signature:
            before = None
        if before and self._has_waited(before):
            return True
        if before and self._clock() < before.check_at_s:
            return False
        why = unfinished(self._folder, found.relative)
        if why is None:
            self._waiting.pop(found.relative, None)
            return True
        since, since_s = (before.since, before.since_s) if before else (utc_now(), self._clock())
        self._waiting[found.relative] = _Held(why, since, found.signature, since_s, self._clock() + _CHECK_EVERY_S)
        if before is None:
            longest_wait_s = round(self._longest_wait_s)
            log.warning("file waits", file=printable(found.relative), **log_fields(why), at_most_s=longest_wait_s)
        return False

    def holds(self, found: Found) -> bool:
        """Return whether a held file must still wait; False for a file that is not held."""
        return found.relative in self._waiting and not self.admit(found)

    def forget(self, relative: str) -> None:
        """Release a file."""
        self._waiting.pop(relative, None)

    def _has_waited(self, wait: _Held) -> bool:
        return self._clock() - wait.since_s >= self._longest_wait_s


def unfinished(folder: Path, relative: str) -> UnfinishedError | None:
    """Return the sign that a file is incomplete; None if there is none or the file cannot be read."""
    path = PurePath(relative)
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with open_folder(folder, path.parent) as folder_fd:
            if marker := _marker_beside(path.name, folder_fd):
                return DownloadRunsError(f"A download or export is running: {printable(marker)} is beside it.")
            with os.fdopen(os.open(path.name, flags, dir_fd=folder_fd), "rb") as file:
                return _missing_end(file) or _missing_index(file)
    except OSError:  # claiming the file meets the same error and reports it
        return None


def _marker_beside(name: str, folder_fd: int) -> str | None:
    return next((beside for beside in os.listdir(folder_fd) if ignored.is_mark(beside, name)), None)


def _missing_end(file: BinaryIO) -> UnfinishedError | None:
    fd = file.fileno()
    found = os.fstat(fd)
    size, written = found.st_size, found.st_blocks * 512
    if size == 0:
        return None
    tail = min(size, max(_BLOCK_BYTES, min(size // _TAIL_SHARE, _MOST_TAIL_BYTES)))
    if not _has_data_after(fd, max(0, size - _BLOCK_BYTES)) or not _any_bit(file, size - tail):
        return CopyStalledError(f"The end of the file ({size / _MIB:.1f} MiB) has not been written yet.")
    if written < _LEAST_WRITTEN * size and _has_hole(fd, size):
        return CopyStalledError(f"Of {size / _MIB:.1f} MiB only {written / _MIB:.1f} MiB have been written yet.")
    return None


def _has_data_after(fd: int, offset: int) -> bool:
    """Return whether there is data after the offset; True if the file system does not know (lseek(2), SEEK_DATA)."""
    try:
        os.lseek(fd, offset, os.SEEK_DATA)
    except OSError as exc:
        return exc.errno != errno.ENXIO
    return True


def _has_hole(fd: int, size: int) -> bool:
    try:
        return os.lseek(fd, 0, os.SEEK_HOLE) < size
    except OSError:  # the file system does not know
        return False


def _any_bit(file: BinaryIO, offset: int) -> bool:
    """Return whether the file holds anything but zeros after the offset."""
    file.seek(offset)
    return any(block.strip(b"\0") for block in iter(lambda: file.read(65536), b""))


def _missing_index(file: BinaryIO) -> UnfinishedError | None:
    boxes = sniff.outline(file, most_boxes=_MOST_BOXES)
    if boxes.cut_off:
        return CopyStalledError("The file is shorter than its own structure requires.")
    if boxes.lacks_index:
        return IndexMissingError("The recording's index (the moov box) is not there yet.")
    return None
