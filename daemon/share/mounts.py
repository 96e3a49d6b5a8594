"""What is mounted where, as the kernel tells in /proc/self/mountinfo (see proc_pid_mountinfo(5))."""

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
        device: "major:minor"; btrfs and some others show programs other numbers.
        kind: as the kernel names it, such as "ext4" or "nfs4".
        source: what was mounted, such as "/dev/sda1" or "nas:/videos".
        options: of the mount and of the file system, such as "rw" or "acregmax=60".
    """

    device: str
    point: Path
    kind: str
    source: str
    options: tuple[str, ...]

    def seconds(self, option: str) -> float | None:
        """The value of an option that is a time in seconds; None where it is not given."""
        values = [given.partition("=")[2] for given in self.options if given.partition("=")[0] == option]
        return float(values[-1]) if values and values[-1].replace(".", "", 1).isdigit() else None


def table() -> str:
    """The kernel's table of what this process sees mounted; another one means that something was mounted or unmounted.

    It costs the share no request.
    """
    return _MOUNTINFO.read_text(errors="surrogateescape")


def mounted_below(folder: Path) -> list[Mount]:
    """What is mounted inside a folder, in the order in which it was. It costs the folder's file system no request."""
    return [mount for mount in mounts() if mount.point != folder and mount.point.is_relative_to(folder)]


def mounts() -> Iterator[Mount]:
    """All mounts that this process sees, in the order in which they were made."""
    for line in table().splitlines():
        before, _, after = line.partition(" - ")
        _, _, device, _, point, options, *_ = before.split(" ")
        kind, source, super_options = after.split(" ", 2)
        given = (*options.split(","), *super_options.split(","))
        yield Mount(device, Path(_unescape(point)), kind, _unescape(source), given)


def mount_of(path: Path) -> Mount | None:
    """The mount that ``path`` lies on; None where that cannot be told.

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
