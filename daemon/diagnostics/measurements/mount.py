"""Whether the share is there, what kind of file system it lies on, and how much room it has."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Self

from daemon.diagnostics.measurements.target import Site, refusal
from daemon.layout import SENTINEL, STATE_DIR
from daemon.share.mounts import mount_of
from daemon.share.share import is_network


@dataclass(frozen=True, slots=True)
class Presence:
    """The root and the sentinel. ``refused`` is the error's name where the root cannot be looked into."""

    refused: str
    prepared: bool
    missing: list[str]

    @classmethod
    def measured(cls, site: Site) -> Self:
        refused = refusal(lambda: os.scandir(site.root).close())
        missing = [] if refused else [name for name, folder in site.folders.items() if not folder.is_dir()]
        return cls(refused, (site.root / STATE_DIR / SENTINEL).exists(), missing)


@dataclass(frozen=True, slots=True)
class Place:
    """The mount. Cache times are how old another host's change may look; None where the options do not tell."""

    kind: str
    source: str
    options: list[str]
    network: bool
    read_only: bool
    file_cache_s: float | None
    folder_cache_s: float | None

    @classmethod
    def measured(cls, site: Site) -> Self:
        mount = mount_of(site.root)
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
    """Room for the service's user; ``free_files`` is None where the file system does not count files."""

    total_bytes: int
    free_bytes: int
    free_files: int | None

    @classmethod
    def measured(cls, site: Site) -> Self:
        found = os.statvfs(site.root)
        free_files = found.f_favail if found.f_files else None
        return cls(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize, free_files)
