"""The shared folder: its folders, the kind of its file system, and whether it is there.

An unmounted share looks like an empty folder. Therefore a sentinel file is written once; while it cannot be read,
missing files do not count as deleted.
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
from daemon.share import control_files
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
    """The paths of the share, and checks of it. It holds no open file."""

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
        """The folders between which files are moved, by their paths below the root."""
        folders = (*self.inboxes, self.outbox, self.failed, self.originals, self.jobs)
        return {str(self.relative(folder)): folder for folder in folders}

    def prepare(self) -> ShareIdentity:
        """Create what is missing, and return the share's identity.

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
            StateRemovedError: its folder is missing, while the share's other folders are there.
            ShareAwayError: there is no sentinel, or the share does not answer.
        """
        try:
            sentinel = read_json(self.state / SENTINEL, LARGEST_BYTES)
            return ShareIdentity(str(sentinel["id"]), self.root.stat().st_dev)
        except (OSError, ValueError, KeyError, TypeError) as exc:
            if self.is_state_removed():
                raise StateRemovedError(self.state_removed_message) from exc
            raise ShareAwayError(f"The share {self.root} is not there: {exc}") from exc

    @property
    def state_removed_message(self) -> str:
        """The message for a share whose state folder alone is missing."""
        return (
            f"The folder {STATE_DIR} has gone from {self.root}, with all jobs in it, while the share's other folders"
            " are there: somebody has removed or renamed it."
        )

    def is_state_removed(self) -> bool:
        """Whether the state folder alone is missing. That is not so on an unmounted share, which looks empty."""
        try:
            found = {path.name for path in self.root.iterdir()}
        except OSError:
            return False
        return STATE_DIR not in found and {OUTBOX_DIR, FAILED_DIR, ORIGINALS_DIR} <= found

    def drain_file(self, host: str) -> Path:
        """Return the path of the file that keeps the service of a host from taking new files."""
        return self.hosts / f"{host}{DRAIN_SUFFIX}"

    def pause_reason(self) -> str | None:
        """Return the text of the PAUSE file in any spelling ("" if it is empty); None if there is no such file.

        Raises:
            OSError: the root cannot be read.
        """
        texts = [text for path in self.pause_files() if (text := control_files.read(path)) is not None]
        return max(texts, key=len, default=None)

    def pause_files(self) -> list[Path]:
        """Return all files that count as the PAUSE file."""
        return control_files.find(self.root, PAUSE_FILE)

    def drain_reason(self, host: str) -> str | None:
        """Return the text of a host's drain file, as in ``pause_reason``."""
        return control_files.read(self.drain_file(host))

    def free_bytes(self) -> int:
        """Return the free space of the share."""
        return shutil.disk_usage(self.root).free

    def total_bytes(self) -> int:
        """Return the size of the share's file system."""
        return shutil.disk_usage(self.root).total

    def relative(self, path: Path) -> Path:
        """Return a path relative to the share's root."""
        return path.relative_to(self.root)

    def restore_folders(self) -> Iterator[Path]:
        """Create folders again that somebody has removed; yield each, relative to the root.

        They are created through the open root that contains the sentinel, so that the empty mount point of a share
        that was just unmounted stays empty.

        Raises:
            OSError: a folder cannot be created, or the share is away.
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
        """Write the sentinel atomically; if several hosts do so at once, one succeeds."""
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
    """Create a folder and its parents; False if the name exists already."""
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
    """Return the subfolder of the outbox for a subfolder of an inbox; it never has the name of the status page."""
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
    """Return the type of the file system at ``path`` as the kernel names it, such as "ext4"; "" if unknown.

    Raises:
        ShareAwayError: the path does not exist any more.
    """
    try:
        mount = mount_of(path)
    except OSError as exc:
        raise ShareAwayError(f"The share is not there: {exc}") from exc
    return mount.kind if mount else ""


def is_network(kind: str) -> bool:
    """Whether other machines can write to this kind of file system, unnoticed by this kernel."""
    return kind in _NFS or kind in _NETWORK or (kind.startswith("fuse") and kind != "fuseblk")


def locks_reach_all(path: Path) -> bool:
    """Whether a lock on a file there holds for all machines that can reach it (see nfs(5), local_lock).

    For other network file systems the answer is False, since SMB servers and mounts differ.

    Raises:
        OSError: there is no such path.
    """
    mount = mount_of(path)
    if mount is None or mount.kind in _NFS:
        return mount is not None and "local_lock=none" in mount.options
    return not is_network(mount.kind)


def settle_key(kind: str) -> str:
    """Return the name of the ``settle`` setting with the quiet time of this kind of file system."""
    if kind in _NFS:
        return "nfs_s"
    return "smb_s" if is_network(kind) else "local_s"


def settle_s(kind: str, settings: SettleSettings) -> float:
    """Return the quiet time of this kind of file system, in seconds."""
    quiet_s: float = getattr(settings, settle_key(kind))
    return quiet_s
