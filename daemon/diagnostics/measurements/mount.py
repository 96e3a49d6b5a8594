"""Measurements of the mount: whether the share is there, its file system, and its free space."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Self

from daemon.diagnostics.measurements.target import Target, refusal
from daemon.layout import SENTINEL, STATE_DIR
from daemon.share.mounts import mount_of
from daemon.share.share import is_network


@dataclass(frozen=True, slots=True)
class Presence:
    """The share's root and folders.

    Attributes:
        refused: the name of the error if the root cannot be read, else "".
        prepared: whether a service has used the share.
        missing: folders that are not there.
    """

    refused: str
    prepared: bool
    missing: list[str]

    @classmethod
    def measured(cls, target: Target) -> Self:
        refused = refusal(lambda: os.scandir(target.root).close())
        missing = [] if refused else [name for name, folder in target.folders.items() if not folder.is_dir()]
        return cls(refused, (target.root / STATE_DIR / SENTINEL).exists(), missing)


@dataclass(frozen=True, slots=True)
class ShareMount:
    """The mount of the share.

    Attributes:
        file_cache_s, folder_cache_s: how late another host's change may appear; None if the options do not specify it.
    """

    kind: str
    source: str
    options: list[str]
    network: bool
    read_only: bool
    file_cache_s: float | None
    folder_cache_s: float | None

    @classmethod
    def measured(cls, target: Target) -> Self:
        mount = mount_of(target.root)
        if mount is None:
            return cls("", "", [], False, False, None, None)
        cached = {"noac", "actimeo=0", "cache=none"}.isdisjoint(mount.options)
        both_s = mount.seconds("actimeo")
        file_s, folder_s = (mount.seconds(name) or both_s for name in ("acregmax", "acdirmax"))
        return cls(
            mount.kind,
            mount.source,
            list(mount.options),
            is_network(mount.kind),
            "ro" in mount.options,
            file_s if cached else 0.0,
            folder_s if cached else 0.0,
        )


@dataclass(frozen=True, slots=True)
class Space:
    """Free space for the service's user.

    Attributes:
        free_files: the number of further files; None if the file system does not limit it.
    """

    total_bytes: int
    free_bytes: int
    free_files: int | None

    @classmethod
    def measured(cls, target: Target) -> Self:
        found = os.statvfs(target.root)
        free_files = found.f_favail if found.f_files else None
        return cls(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize, free_files)
