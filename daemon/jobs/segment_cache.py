"""The segment cache: what finished jobs have rendered, so that a correction renders only what changes.

``.dualface/finished`` holds one entry for each source, a directory that is named after the source's content. Whole
directories are renamed in and out: of two jobs that want the same entry, one gets it and the other starts from zero.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path

import structlog

from daemon.clock import Clock, Every
from daemon.config.settings import RetentionSettings
from daemon.jobs.job import Job, remove_path
from daemon.layout import LEASE_FILE, MANIFEST
from daemon.share.rename import FileMark
from daemon.share.share import Share
from engines.files import open_new
from pipeline.fingerprint import source_identity
from pipeline.workdir import CHECKPOINT, RESUMABLE

_RESTORING = "kept"  # in a job's directory: an entry that is being restored
_FAILED = "failed"  # marks the entry of a job that has failed
_SWEEP_EVERY_S = 3600.0

log = structlog.get_logger(__name__)


def key_of(source: Path, *parts: Path) -> str:
    """Return the name of a source's entry; it depends on the content of the files only, not on their names.

    Raises:
        OSError: it cannot be read.
    """
    found = [source_identity(path) for path in (source, *parts)]
    samples = "".join(identity["samples"] for identity in found)
    digest = hashlib.sha256(samples.encode()).hexdigest() if parts else samples
    return f"{sum(identity['bytes'] for identity in found)}-{digest[:32]}"


class SegmentCache:
    """The entries of finished jobs on the share."""

    def __init__(self, share: Share, settings: RetentionSettings, clock: Clock) -> None:
        self._folder = share.finished
        self._sweeps = Every(_SWEEP_EVERY_S, clock)
        self.apply(settings)

    def apply(self, settings: RetentionSettings) -> None:
        """Use other settings from now on."""
        self._settings = settings

    def store(self, job: Job) -> None:
        """Remove the directory of a job that is done, or turn it into an entry.

        A failed job's segments are stored as well, so that the next job on the same file goes on from there. If that
        job fails, too, they are removed, because they may be the reason.

        Raises:
            OSError: not now; call again later.
        """
        if FileMark.of(job.folder / _RESTORING):
            self._move_in(job)
        if not self._is_worth_storing(job):
            job.remove()
            return
        if job.manifest.error:
            open_new(job.folder / _FAILED).close()
        job.clear(but={*RESUMABLE, MANIFEST, LEASE_FILE, *([_FAILED] if job.manifest.error else [])})
        job.remove_parts()
        target = self._folder / job.manifest.key
        _discard(target)
        try:
            job.folder.rename(target)
        except OSError:
            if FileMark.of(job.folder):  # another host has just put the same there
                job.remove()
                return
        for name in (MANIFEST, LEASE_FILE):
            (target / name).unlink(missing_ok=True)

    def _is_worth_storing(self, job: Job) -> bool:
        if not self._settings.state_days or not job.manifest.key or FileMark.of(job.folder / CHECKPOINT) is None:
            return False
        return not (job.manifest.error and FileMark.of(job.folder / _FAILED))

    def restore(self, job: Job) -> None:
        """Move the entry of an earlier job on the same source into the directory of a job without a checkpoint.

        Raises:
            OSError: not now; call again later to complete it.
        """
        restoring = job.folder / _RESTORING
        if FileMark.of(restoring) or self._fetch(job, restoring):
            self._move_in(job)
            log.info("job builds on an earlier one", job=job.id, file=job.label, stage="working")

    def _move_in(self, job: Job) -> None:
        restoring = job.folder / _RESTORING
        for name in (_FAILED, *RESUMABLE):
            if FileMark.of(restoring / name):
                remove_path(job.folder / name)
                (restoring / name).rename(job.folder / name)
        remove_path(restoring)

    def _fetch(self, job: Job, restoring: Path) -> bool:
        if not job.manifest.key or FileMark.of(job.folder / CHECKPOINT):
            return False
        try:
            (self._folder / job.manifest.key).rename(restoring)
        except OSError as exc:
            if FileMark.of(restoring) is None:  # otherwise only the reply got lost
                if isinstance(exc, FileNotFoundError):
                    return False
                raise
        return True

    def sweep(self) -> None:
        """Remove expired entries and those that a crash has left half removed, if it is time.

        Raises:
            OSError: the share cannot be read.
        """
        if not self._sweeps.due():
            return
        for path in self._folder.iterdir():
            if path.name.startswith("."):
                shutil.rmtree(path, ignore_errors=True)
            elif time.time() - _stored_at_s(path) > self._settings.state_days * 86400:
                _discard(path)

    def free_space(self) -> bool:
        """Remove the oldest entry, because the disk is nearly full; return False if there is none.

        Raises:
            OSError: the share cannot be read.
        """
        entries = [path for path in self._folder.iterdir() if not path.name.startswith(".")]
        if not entries:
            return False
        oldest = min(entries, key=_stored_at_s)
        log.info("cached segments removed, because space is low", state=oldest.name)
        _discard(oldest)
        return True


def _stored_at_s(path: Path) -> float:
    """Return the wall-clock time at which the entry was stored, 0 if it has gone."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return 0.0
    return max(found.st_ctime, found.st_mtime)


def _discard(path: Path) -> None:
    """Rename an entry before it is removed, so that no job finds a part of it."""
    doomed = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with suppress(FileNotFoundError):
        path.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
