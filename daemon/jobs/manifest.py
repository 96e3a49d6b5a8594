"""Jobs on the share: one directory each, with a manifest that says how far the job has come.

The manifest is written, atomically and durably, before each step, so that a crash at any point leaves a
directory from which the next start knows how to go on.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import stat
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path, PurePath
from typing import Any

from daemon.files import NO_PLAIN_FILE, read_plain
from daemon.jobs import manifest_checks
from daemon.layout import LEASE_FILE, LOCK_FILE, MANIFEST, PART, SIDECAR, SOURCE
from daemon.share import leases
from daemon.share.leases import Lease
from daemon.share.naming import printable, valid_text
from daemon.share.rename import FileMark, has_gone
from engines.errors import ExplainedError
from engines.files import sync_directory
from pipeline.durable import write_durably

FORMAT = 1
_LARGEST_BYTES = 10_000_000


class State(StrEnum):
    """How far a job has come."""

    CLAIMING = "claiming"  # the directory is made, the source may not be in it yet
    SETTLING = "settling"  # the source is ours, but somebody may still be writing to it
    QUEUED = "queued"
    WORKING = "working"
    DELIVERING = "delivering"
    FAILING = "failing"
    DONE = "done"  # only the directory is left to be removed


@dataclass(slots=True)
class Move:
    """One file on its way out of the job directory. ``target`` is relative to the share's root."""

    kind: str
    name: str  # in the job directory
    target: str
    mark: FileMark


@dataclass(slots=True)
class Manifest:
    """What must survive a crash. Paths are text with surrogate escapes, so every byte of a name survives too.

    Attributes:
        relative: path of the source inside its inbox.
        parts: paths of the files in which the recording goes on, inside its inbox; part_marks: as ``source``.
        sidecar: whether a sidecar was claimed with the source; sidecar_name: its path inside the inbox.
        sidecar_fault: what lies there as a sidecar and is none, such as "x.dualface.yaml is a folder", else "".
        key: names the source's content (see ``kept.key_of``).
        attempts: workers that were started on it.
        card: number of the GPU of the last attempt, None without one.
        worked_s: time that ended attempts took together.
        strikes: attempts in a row that ended badly and without a new checkpoint.
        interruptions: times in a row that the whole service died while it was worked on.
        checkpoint: mark of checkpoint.json when the last attempt began.
        publish, retire: moves that were decided on; they are repeated until all are done.
    """

    job: str
    inbox: str
    relative: str
    profile: str
    priority: int = 0
    state: State = State.CLAIMING
    claimed_at_s: float = 0.0
    parts: list[str] = field(default_factory=list)
    sidecar: bool = False
    sidecar_name: str = ""
    sidecar_fault: str = ""
    source: FileMark | None = None
    part_marks: list[FileMark] = field(default_factory=list)
    key: str = ""
    attempts: int = 0
    card: int | None = None  # the key that manifests have always had
    worked_s: float = 0.0
    strikes: int = 0
    interruptions: int = 0
    checkpoint: FileMark | None = None
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    publish: list[Move] = field(default_factory=list)
    retire: list[Move] = field(default_factory=list)
    format: int = FORMAT

    def to_json(self) -> bytes:
        # json escapes lone surrogates, which faster encoders refuse.
        return json.dumps(asdict(self), indent=1).encode("ascii")

    @classmethod
    def from_json(cls, data: bytes) -> Manifest:
        """Read a manifest.

        Raises:
            ValueError: it is damaged, of another format, or leads out of the share's folders.
        """
        try:
            body = json.loads(data)
            if body["format"] != FORMAT:
                raise ValueError(f"manifest of format {body['format']}")
            body = {f.name: body[f.name] for f in fields(cls) if f.name in body}
            body["state"] = State(body["state"])
            for name in ("source", "checkpoint"):
                body[name] = FileMark(**body[name]) if body[name] else None
            body["part_marks"] = [FileMark(**mark) for mark in body.get("part_marks", [])]
            for name in ("publish", "retire"):
                body[name] = [Move(**{**move, "mark": FileMark(**move["mark"])}) for move in body[name]]
            manifest = cls(**body)
            manifest_checks.check(manifest)
        except (KeyError, TypeError, AttributeError, RecursionError) as exc:
            raise ValueError(f"damaged manifest: {exc}") from exc
        return manifest


class Job:
    """A job directory and its manifest."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest

    @property
    def id(self) -> str:
        return self.manifest.job

    @property
    def source(self) -> Path:
        return self.folder / SOURCE

    @property
    def sidecar(self) -> Path:
        return self.folder / SIDECAR

    @property
    def parts(self) -> list[Path]:
        """The files in which the recording goes on."""
        return [self.folder / f"{PART}{number:04}" for number in range(2, len(self.manifest.parts) + 2)]

    @property
    def recordings(self) -> list[Path]:
        """The source and the parts in which it goes on."""
        return [self.source, *self.parts]

    @property
    def inputs(self) -> list[Path]:
        """What was claimed: the recording, and its sidecar where there is one."""
        return [*self.recordings, self.sidecar] if self.manifest.sidecar else self.recordings

    @property
    def source_name(self) -> str:
        return PurePath(self.manifest.relative).name

    @property
    def subfolder(self) -> PurePath:
        """Where in the inbox the source lay; outbox, failed and originals mirror it."""
        return PurePath(self.manifest.relative).parent

    @property
    def input_name(self) -> str:
        """The source's path on the share as the user knows it, as valid Unicode."""
        return valid_text(PurePath(self.manifest.inbox, self.manifest.relative))

    @property
    def part_names(self) -> list[str]:
        """The same for the files in which the recording goes on."""
        return [valid_text(PurePath(self.manifest.inbox, part)) for part in self.manifest.parts]

    @property
    def label(self) -> str:
        """The same for logs: one line without control characters."""
        return printable(PurePath(self.manifest.inbox, self.manifest.relative))

    def save(self, state: State | None = None) -> None:
        """Write the manifest, in a new state if one is given.

        Raises:
            DiskFullError, StorageError: it cannot be written; the job is in its old state then.
        """
        before = self.manifest.state
        self.manifest.state = state or before
        try:
            write_durably(self.folder / MANIFEST, self.manifest.to_json())
        except ExplainedError:
            self.manifest.state = before
            raise

    def holds_input(self) -> bool:
        """Whether something that a user dropped still lies in the directory.

        Raises:
            OSError: it cannot be looked at.
        """
        parts = self.folder.glob(f"{PART}[0-9][0-9][0-9][0-9]")  # whatever the manifest says
        return any(not has_gone(path) for path in (*self.recordings, self.sidecar, *parts))

    def is_altered(self) -> bool:
        """Whether somebody has written to the source since it was queued: a copy that had stalled went on.

        Raises:
            OSError: it cannot be looked at.
        """
        marks = [self.manifest.source, *self.manifest.part_marks]
        return any(_is_altered(path, mark) for path, mark in zip(self.recordings, marks, strict=False) if mark)

    def begin_anew(self) -> None:
        """Drop what was made of a source that has changed since: it settles once more, and nothing counts against it.

        Raises:
            OSError, DiskFullError, StorageError: not now; call again later.
        """
        self.clear(but={MANIFEST, SIDECAR, LEASE_FILE, LOCK_FILE, *(path.name for path in self.recordings)})
        self.manifest = replace(
            self.manifest, result=None, error=None, checkpoint=None, strikes=0, interruptions=0, worked_s=0.0
        )
        self.save(State.SETTLING)

    def reopen(self) -> bool:
        """Take up a job again that is done although its source has not gone: a share that is away looks empty."""
        if not self.holds_input():
            return False
        self.manifest.retire.clear()
        self.save(State.FAILING if self.manifest.error else State.DELIVERING)
        return True

    def clear(self, *, but: Collection[str]) -> None:
        """Remove what lies in the directory, but for some names."""
        for path in self.folder.iterdir():
            if path.name not in but:
                remove_path(path)

    def remove_parts(self) -> None:
        """Remove what an earlier worker has begun to write; should it still live, it must not write into ours."""
        for part in self.folder.rglob("*.part"):
            part.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the directory, the manifest last: what a crash leaves behind still explains itself.

        Raises:
            OSError: not now; ENOTEMPTY where something that a user dropped lies in it, which is never removed.
        """
        if self.holds_input():
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(self.source))
        self.clear(but={MANIFEST})
        (self.folder / MANIFEST).unlink(missing_ok=True)
        self.folder.rmdir()


def _is_altered(path: Path, queued: FileMark) -> bool:
    if has_gone(path):
        return False
    with suppress(OSError):  # an open file makes a network file system ask its server (close-to-open, nfs(5))
        os.close(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC))
    now = path.lstat()
    # Through SMB the last digits of a time are missing, and the host before may have seen them.
    same = now.st_size == queued.size and now.st_mtime_ns // 1000 == queued.mtime_ns // 1000
    return stat.S_ISREG(now.st_mode) and not same


def create(jobs: Path, manifest: Manifest, lease: Lease) -> Job:
    """Make a job directory, ours from the first moment on.

    Raises:
        OSError, DiskFullError, StorageError: the share cannot be written.
    """
    job = Job(jobs / manifest.job, manifest)
    job.folder.mkdir()
    try:
        leases.write(job.folder, lease)
        job.save()
        sync_directory(jobs)
    except (OSError, ExplainedError):
        with suppress(OSError):
            job.remove()
        raise
    return job


def load(folder: Path) -> Job:
    """Read a job directory.

    Raises:
        ValueError: the manifest is damaged, no plain file, or that of another job.
        OSError: it cannot be read; FileNotFoundError where there is none.
    """
    try:
        manifest = Manifest.from_json(read_plain(folder / MANIFEST, _LARGEST_BYTES))
    except OSError as exc:
        if exc.errno in NO_PLAIN_FILE:
            raise ValueError(str(exc)) from exc
        raise
    if leases.first_name(manifest.job) != leases.first_name(folder.name):
        raise ValueError(f"it is that of the job {manifest.job!r}")
    return Job(folder, manifest)


def folders(jobs: Path) -> Iterator[Path]:
    """All job directories on the share."""
    yield from sorted(path for path in jobs.iterdir() if path.is_dir() and not path.is_symlink())


def new_id() -> str:
    """An id that sorts by time and is unique among all hosts."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"


def remove_path(path: Path) -> None:
    """Remove a file, a folder with all that is in it, or a link alone."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
