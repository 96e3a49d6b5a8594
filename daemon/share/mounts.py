"""The mounts of this process, from /proc/self/mountinfo (see proc_pid_mountinfo(5))."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MOUNTINFO = Path("/proc/self/mountinfo")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted file system.

    Attributes:
        device: "major:minor"; btrfs and some others show other numbers to programs.
        kind: the type as the kernel names it, such as "ext4" or "nfs4".
        source: the mounted device or export, such as "/dev/sda1" or "nas:/videos".
        options: of the mount and of the file system, such as "rw" or "acregmax=60".
    """

    device: str
    point: Path
    kind: str
    source: str
    options: tuple[str, ...]

    def seconds(self, option: str) -> float | None:
        """Return the value of an option in seconds; None if the mount does not have it."""
        values = [given.partition("=")[2] for given in self.options if given.partition("=")[0] == option]
        return float(values[-1]) if values and values[-1].replace(".", "", 1).isdigit() else None


def table() -> str:
    """Return the kernel's table of mounts. It changes when something is mounted or unmounted.

    This sends no request to the share.
    """
    return _MOUNTINFO.read_text(errors="surrogateescape")


def mounted_below(folder: Path) -> list[Mount]:
    """Return the mounts inside a folder, the oldest first. This sends no request to the folder's file system."""
    return [mount for mount in mounts() if mount.point != folder and mount.point.is_relative_to(folder)]


def mounts() -> Iterator[Mount]:
    """Yield all mounts that this process sees, the oldest first."""
    for line in table().splitlines():
        before, _, after = line.partition(" - ")
        _, _, device, _, point, options, *_ = before.split(" ")
        kind, source, super_options = after.split(" ", 2)
        given = (*options.split(","), *super_options.split(","))
        yield Mount(device, Path(_unescape(point)), kind, _unescape(source), given)


def mount_of(path: Path) -> Mount | None:
    """Return the mount that ``path`` lies on; None if the table does not show it.

    Raises:
        OSError: there is no such path.
    """
    device = path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    above = [mount for mount in mounts() if path.is_relative_to(mount.point)]
    same = [mount for mount in above if mount.device == number] or above
    return max(enumerate(same), key=lambda m: (len(m[1].point.parts), m[0]), default=(0, None))[1]


def _unescape(text: str) -> str:
    for code, sign in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, sign)
    return text
