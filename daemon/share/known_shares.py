"""Records, outside of the shares, the file system on which each share was seen last.

While a machine starts and its NAS is not mounted yet, the mount point is an empty folder. Without this record the
service would take it for a new share and create its folders on the system's own disk.
"""

from __future__ import annotations

import json
from pathlib import Path

import structlog

from daemon.errors import ShareAwayError
from daemon.layout import STATE_DIR
from daemon.share.share import Share, ShareIdentity
from engines.cache_dir import default_cache_dir
from engines.files import replace_file

_NAME = "shares.json"
_REMEMBERED = 50

log = structlog.get_logger(__name__)


def check_mounted(share: Share, directory: Path | None = None) -> None:
    """Check that an empty folder is not the mount point of a known share.

    Raises:
        ShareAwayError: a share was here, on another file system, and no state folder (which may be empty) shows that
            a new share is intended.
    """
    device = _read(directory).get(str(share.root))
    state = share.root / STATE_DIR
    if device is None or not share.root.is_dir() or state.exists() or share.root.stat().st_dev == device:
        return
    raise ShareAwayError(
        f"The share that was at {share.root} is not mounted: an empty folder of another file system lies there.",
        remedy=f"Mount the share. For a new share: mkdir {state}",
    )


def record(share: Share, identity: ShareIdentity, directory: Path | None = None) -> None:
    """Record the file system of a share; a failure to write is only logged."""
    known = _read(directory)
    known.pop(str(share.root), None)
    latest = [*known.items(), (str(share.root), identity.device)][-_REMEMBERED:]
    path = _path(directory)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, json.dumps(dict(latest), indent=1).encode())
    except OSError as exc:
        log.debug("share not remembered", path=str(path), reason=exc.strerror)


def _read(directory: Path | None) -> dict[str, int]:
    try:
        known = json.loads(_path(directory).read_bytes())
        return {str(root): int(device) for root, device in known.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _path(directory: Path | None) -> Path:
    return (directory or default_cache_dir()) / _NAME
