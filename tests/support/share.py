"""A share on a temporary folder, for the tests of the service's parts."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daemon.config.settings import Settings
from daemon.inbox.candidate import Candidate
from daemon.inbox.scanner import Found
from daemon.inbox.stability import Signature
from daemon.jobs import claim as claims
from daemon.jobs.job import Job
from daemon.jobs.manifest import JobState
from daemon.share.leases import Lease
from daemon.share.naming import sidecar_name
from daemon.share.rename import FileMark
from daemon.share.share import Share

LEASE = Lease("this-host", 1, "boot")


def settings_for(root: Path, **sections: Any) -> Settings:
    return Settings.model_validate({"share": {"root": root, "low_bytes": 0, "resume_bytes": 0}, **sections})


def make_share(root: Path) -> Share:
    share = Share(settings_for(root))
    share.prepare()
    return share


def candidate(share: Share, relative: str) -> Candidate:
    settings = settings_for(share.root)
    found = (share.inboxes[0] / relative).lstat()
    beside = share.inboxes[0] / sidecar_name(relative)
    sidecar = Found(sidecar_name(relative), Signature.of(beside.lstat())) if os.path.isfile(beside) else None  # noqa: PTH113 - the name may be too long
    return Candidate(settings.inboxes[0], Found(relative, Signature.of(found)), sidecar)


def drop(share: Share, relative: str, content: bytes = b"recording") -> Path:
    path = share.inboxes[0] / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def claimed(share: Share, relative: str, content: bytes = b"recording") -> Job:
    drop(share, relative, content)
    job = claims.claim(share, candidate(share, relative), share.inboxes[0], LEASE)
    assert job is not None
    return job


def finished(share: Share, relative: str) -> Job:
    """A job whose worker has just ended well."""
    job = claimed(share, relative)
    files = {"video": "output.mp4", "tracks": "tracks.gz", "preview": "preview.jpg", "report": "output.report.json"}
    for kind, name in files.items():
        (job.folder / name).write_bytes(f"{kind} of {job.id}".encode())
    report = {"status": "succeeded", "output": {"path": None}, "resilience": {"attempts": 1}}
    (job.folder / files["report"]).write_text(json.dumps(report))
    job.manifest.result = {"status": "succeeded", "verdict": "fine", "files": files}
    job.manifest.attempts = 2
    job.manifest.source = FileMark.of(job.source)
    job.save(JobState.DELIVERING)
    return job


def tree(folder: Path) -> set[str]:
    """All files below a folder, hidden ones left out."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir())
    return {str(path) for path in files if not any(part.startswith(".") for part in path.parts)}


@contextmanager
def mounted(folder: Path, options: str = "size=50%") -> Iterator[None]:
    """An empty file system in place of a folder; only root can mount one."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@contextmanager
def small_disk(folder: Path, *, names: int = 0) -> Iterator[None]:
    """A file system of one MiB, and with so many names (0: many)."""
    with mounted(folder, f"size=1m,nr_inodes={names}"):
        yield


def fill(ballast: Path, *, but_blocks: int = 0) -> None:
    """Use up the whole disk, but for some blocks."""
    found = os.statvfs(ballast.parent)
    ballast.write_bytes(bytes((found.f_bfree - but_blocks) * found.f_bsize))
