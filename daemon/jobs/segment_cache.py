"""Kept state: what a finished job has rendered, so that a correction of it renders only what changes.

Under ``.dualface/finished`` lies one directory for each source, named after its content. Whole directories are
renamed in and out: of two that want one, one gets it and the other starts afresh.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path

import structlog

from daemon.clock import Clock
from daemon.config.settings import RetentionSettings
from daemon.files import write_plain
from daemon.jobs.job import MANIFEST, Job, remove_path
from daemon.share.leases import LEASE
from daemon.share.rename import FileMark
from daemon.share.share import Share
from pipeline.fingerprint import source_identity
from pipeline.segments.checkpoint import FILE_NAME as CHECKPOINT

_STATE = ("segments", "preview", CHECKPOINT)  # in the order in which they come back: the checkpoint names the others
_ARRIVED = "kept"  # in a job's directory: kept state that is being taken in
_FAILED = "failed"  # marks state with which a job has failed
_SWEEP_EVERY_S = 3600.0

log = structlog.get_logger(__name__)


def key_of(source: Path, *parts: Path) -> str:
    """The name of a source's state: the same for the same content, whatever the files are called.

    Raises:
        OSError: it cannot be read.
    """
    found = [source_identity(path) for path in (source, *parts)]
    samples = "".join(identity["samples"] for identity in found)
    digest = hashlib.sha256(samples.encode()).hexdigest() if parts else samples
    return f"{sum(identity['bytes'] for identity in found)}-{digest[:32]}"


class SegmentCache:
    """The states of finished jobs on the share."""

    def __init__(self, share: Share, settings: RetentionSettings, clock: Clock) -> None:
        self._folder = share.finished
        self.settings = settings
        self._clock = clock
        self._next_at = clock()

    def retire(self, job: Job) -> None:
        """End a job that is done: its directory becomes kept state, or goes.

        A failed job's state is kept as well, so that the next attempt on the file goes on from there; but not once
        more where that fails, too, as the state may be the reason.

        Raises:
            OSError: not now; call again later.
        """
        if FileMark.of(job.folder / _ARRIVED):
            self._take_in(job)
        if not self._is_worth_keeping(job):
            job.remove()
            return
        if job.manifest.error:
            write_plain(job.folder / _FAILED, b"")
        job.clear(but={*_STATE, MANIFEST, LEASE, *([_FAILED] if job.manifest.error else [])})
        job.remove_parts()
        target = self._folder / job.manifest.key
        _discard(target)
        try:
            job.folder.rename(target)
        except OSError:
            if FileMark.of(job.folder):  # another host has just put the same there
                job.remove()
                return
        for name in (MANIFEST, LEASE):
            (target / name).unlink(missing_ok=True)

    def _is_worth_keeping(self, job: Job) -> bool:
        if not self.settings.state_days or not job.manifest.key or FileMark.of(job.folder / CHECKPOINT) is None:
            return False
        return not (job.manifest.error and FileMark.of(job.folder / _FAILED))

    def give(self, job: Job) -> None:
        """Let a job that has no checkpoint yet go on from the state of an earlier one with the same source.

        Raises:
            OSError: not now; call again later, it goes on where it was.
        """
        arrived = job.folder / _ARRIVED
        if FileMark.of(arrived) or self._fetch(job, arrived):
            self._take_in(job)
            log.info("job builds on an earlier one", job=job.id, file=job.label, stage="working")

    def _take_in(self, job: Job) -> None:
        arrived = job.folder / _ARRIVED
        for name in (_FAILED, *_STATE):
            if FileMark.of(arrived / name):
                remove_path(job.folder / name)
                (arrived / name).rename(job.folder / name)
        remove_path(arrived)

    def _fetch(self, job: Job, arrived: Path) -> bool:
        if not job.manifest.key or FileMark.of(job.folder / CHECKPOINT):
            return False
        try:
            (self._folder / job.manifest.key).rename(arrived)
        except OSError as exc:
            if FileMark.of(arrived) is None:  # else only the reply got lost
                if isinstance(exc, FileNotFoundError):
                    return False
                raise
        return True

    def sweep(self) -> None:
        """Remove what is too old, now and then; also what a crash has left half removed."""
        if self._clock() < self._next_at:
            return
        self._next_at = self._clock() + _SWEEP_EVERY_S
        for path in self._folder.iterdir():
            if path.name.startswith("."):
                shutil.rmtree(path, ignore_errors=True)
            elif time.time() - _kept_since_s(path) > self.settings.state_days * 86400:
                _discard(path)

    def make_room(self) -> bool:
        """Remove the oldest state, because space runs out; False where there is none."""
        states = [path for path in self._folder.iterdir() if not path.name.startswith(".")]
        if not states:
            return False
        oldest = min(states, key=_kept_since_s)
        log.info("kept state removed, because space is low", state=oldest.name)
        _discard(oldest)
        return True


def _kept_since_s(path: Path) -> float:
    """Wall-clock time at which the directory came here; 0 where it has gone."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return 0.0
    return max(found.st_ctime, found.st_mtime)


def _discard(path: Path) -> None:
    """Remove a state under another name, so that nobody finds a half of it."""
    condemned = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with suppress(FileNotFoundError):
        path.rename(condemned)
        shutil.rmtree(condemned, ignore_errors=True)
