"""The shared folder: its layout, what kind of file system it lies on, and whether it is there at all.

An unmounted share looks like an empty folder. So a sentinel file is written once; as long as it cannot be
read, nothing that is missing counts as deleted.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath

from daemon.config.settings import InboxSettings, Settings, SettleSettings
from daemon.errors import ShareAwayError, ShareUnusableError, StateRemovedError
from daemon.files import read_json
from daemon.layout import (
    DRAIN_SUFFIX,
    FAILED_DIR,
    FINISHED_DIR,
    HOSTS_DIR,
    JOBS_DIR,
    ORIGINALS_DIR,
    OUTBOX_DIR,
    PAUSE_FILE,
    SENTINEL,
    STATE_DIR,
    STATUS_HTML,
    STATUS_JSON,
)
from daemon.share import control_files as notes
from daemon.share.mounts import mount_of
from daemon.share.naming import composed, existing_form, original_name
from daemon.share.rename import move_no_replace, open_folder
from engines.files import FULL, sync_directory
from pipeline.degradation.space import mib

LARGEST_BYTES = 10_000  # of the sentinel
_NFS = {"nfs", "nfs4"}
_NETWORK = {
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "afs",
    "ceph",
    "glusterfs",
    "lustre",
    "gpfs",
    "beegfs",
    "ocfs2",
    "gfs2",
    "virtiofs",
    "vboxsf",
    "vmhgfs",
    "prl_fs",
}


@dataclass(frozen=True, slots=True)
class ShareIdentity:
    """Which share this is: the sentinel's id and the device number of the root."""

    share_id: str
    device: int


class Share:
    """Paths of the share and the checks on it. Holds no open file."""

    def __init__(self, settings: Settings) -> None:
        self.root = settings.share.root
        self.outbox = self.root / OUTBOX_DIR
        self.failed = self.root / FAILED_DIR
        self.originals = self.root / ORIGINALS_DIR
        self.state = self.root / STATE_DIR
        self.jobs = self.state / JOBS_DIR
        self.finished = self.state / FINISHED_DIR
        self.hosts = self.state / HOSTS_DIR
        self.pause_file = self.root / PAUSE_FILE
        self.inboxes = tuple(inbox_folder(settings, inbox) for inbox in settings.inboxes)

    @property
    def folders(self) -> dict[str, Path]:
        """The folders that files move between, by their paths below the root."""
        folders = (*self.inboxes, self.outbox, self.failed, self.originals, self.jobs)
        return {str(self.relative(folder)): folder for folder in folders}

    def prepare(self) -> ShareIdentity:
        """Create what is missing, and tell which share it is.

        Raises:
            ShareAwayError: the root does not exist or does not answer.
            ShareUnusableError: it cannot be written.
        """
        if not self.root.is_dir():
            raise ShareAwayError(
                f"The share's folder {self.root} does not exist.",
                remedy=f"Mount the share, or create the folder: mkdir -p {self.root}",
            )
        try:
            self._make_folders()
            self._make_sentinel()
        except OSError as exc:
            raise _unusable(self.root, exc) from exc
        return self.identity()

    def identity(self) -> ShareIdentity:
        """Read the sentinel.

        Raises:
            StateRemovedError: the folder that it lies in has gone, while the others are there.
            ShareAwayError: there is none, or the share does not answer.
        """
        try:
            sentinel = read_json(self.state / SENTINEL, LARGEST_BYTES)
            return ShareIdentity(str(sentinel["id"]), self.root.stat().st_dev)
        except (OSError, ValueError, KeyError, TypeError) as exc:
            if self.is_bereft():
                raise StateRemovedError(self.bereft) from exc
            raise ShareAwayError(f"The share {self.root} is not there: {exc}") from exc

    @property
    def bereft(self) -> str:
        """What to say where the service's own folder alone has gone."""
        return (
            f"The folder {STATE_DIR} has gone from {self.root}, with all jobs in it, while the share's other folders"
            " are there: somebody has removed or renamed it."
        )

    def is_bereft(self) -> bool:
        """Whether the service's own folder alone has gone. An unmounted share looks empty, so it is not meant."""
        try:
            found = {path.name for path in self.root.iterdir()}
        except OSError:
            return False
        return STATE_DIR not in found and {OUTBOX_DIR, FAILED_DIR, ORIGINALS_DIR} <= found

    def drain_file(self, host: str) -> Path:
        """While it exists, the service of that host takes nothing new from the inboxes."""
        return self.hosts / f"{host}{DRAIN_SUFFIX}"

    def pause_reason(self) -> str | None:
        """The text of the PAUSE file ("" where it has none), or None where there is none. Any spelling of it counts.

        Raises:
            OSError: the root cannot be read.
        """
        said = [text for path in self.pause_files() if (text := notes.read(path)) is not None]
        return max(said, key=len, default=None)

    def pause_files(self) -> list[Path]:
        """Everything that counts as the PAUSE file."""
        return notes.find(self.root, PAUSE_FILE)

    def drain_reason(self, host: str) -> str | None:
        """The same for the word that a host is to be drained."""
        return notes.read(self.drain_file(host))

    def free_bytes(self) -> int:
        return shutil.disk_usage(self.root).free

    def total_bytes(self) -> int:
        return shutil.disk_usage(self.root).total

    def relative(self, path: Path) -> Path:
        return path.relative_to(self.root)

    def restore_folders(self) -> Iterator[Path]:
        """Make folders again that somebody has removed; yields each, relative to the root.

        It goes through an open root with its sentinel: a mount point whose share has just gone stays empty.

        Raises:
            OSError: one cannot be made, or the share has gone.
        """
        missing = [self.relative(folder) for folder in self._needed() if not folder.is_dir()]
        if missing:
            with open_folder(self.root, PurePath()) as root_fd:
                os.stat(Path(STATE_DIR, SENTINEL), dir_fd=root_fd)
                yield from (path for path in missing if _make_folder(root_fd, path))

    def _make_folders(self) -> None:
        for folder in self._needed():
            folder.mkdir(parents=True, exist_ok=True)

    def _needed(self) -> tuple[Path, ...]:
        return (*self.folders.values(), self.finished, self.hosts)

    def _make_sentinel(self) -> None:
        """Write it whole or not at all; of several hosts that do so at once, one wins."""
        sentinel = self.state / SENTINEL
        if sentinel.exists():
            return
        share_id = uuid.uuid4().hex
        part = self.state / f".{share_id}"
        about = "tells this share from an empty mount point; do not remove"
        try:
            with part.open("x", encoding="utf-8") as file:
                json.dump({"id": share_id, "about": about}, file)
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                move_no_replace(part, sentinel)
        finally:
            part.unlink(missing_ok=True)
        sync_directory(self.state)


def _make_folder(root_fd: int, relative: Path) -> bool:
    """Make a folder and those that it lies in; False where there is something of its name."""
    made = False
    for path in (*reversed(relative.parents[:-1]), relative):
        try:
            os.mkdir(path, dir_fd=root_fd)
        except FileExistsError:
            made = False
        else:
            made = True
    return made


def inbox_folder(settings: Settings, inbox: InboxSettings) -> Path:
    """Return the absolute folder of an inbox, in the Unicode form that an existing folder has on the share."""
    return existing_form(settings.inbox_dir(inbox))


def outbox_folder(subfolder: PurePath) -> PurePath:
    """Where in the outbox a subfolder of an inbox is mirrored: beside the status page, where it is called like that."""
    subfolder = PurePath(composed(str(subfolder)))
    first = subfolder.parts[0] if subfolder.parts else ""
    if first.casefold() not in (STATUS_HTML, STATUS_JSON):
        return subfolder
    return PurePath(original_name(first, 2), *subfolder.parts[1:])


def _unusable(root: Path, exc: OSError) -> ShareUnusableError:
    what = f"The share {root} cannot be used: {exc.strerror}{f': {exc.filename}' if exc.filename else ''}"
    if exc.errno in FULL:
        what = f"{what} ({mib(shutil.disk_usage(root).free)} free)"
        return ShareUnusableError(what, remedy="Free space on the share.", doctor_check="share-space")
    return ShareUnusableError(what)


def file_system(path: Path) -> str:
    """Type of the file system at ``path`` as the kernel names it, such as "ext4" or "nfs4"; "" if unknown.

    Raises:
        ShareAwayError: there is no such path any more.
    """
    try:
        mount = mount_of(path)
    except OSError as exc:
        raise ShareAwayError(f"The share is not there: {exc}") from exc
    return mount.kind if mount else ""


def is_network(kind: str) -> bool:
    """Whether other machines may write to this kind of file system without this kernel noticing."""
    return kind in _NFS or kind in _NETWORK or (kind.startswith("fuse") and kind != "fuseblk")


def locks_reach_all(path: Path) -> bool:
    """Whether a lock on a file there excludes every machine that can reach it (see nfs(5), local_lock).

    Of other network file systems that is not known: SMB servers and mounts differ.

    Raises:
        OSError: there is no such path.
    """
    mount = mount_of(path)
    if mount is None or mount.kind in _NFS:
        return mount is not None and "local_lock=none" in mount.options
    return not is_network(mount.kind)


def settle_key(kind: str) -> str:
    """Which of the ``settle`` settings holds the quiet time for this kind of file system."""
    if kind in _NFS:
        return "nfs_s"
    return "smb_s" if is_network(kind) else "local_s"


def settle_s(kind: str, settings: SettleSettings) -> float:
    """Quiet time that a file must show on this kind of file system."""
    quiet_s: float = getattr(settings, settle_key(kind))
    return quiet_s
