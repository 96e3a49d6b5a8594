"""Remembers, outside of the shares, on which file system each of them was seen last.

At the start of a machine whose NAS is not there yet, the mount point is an empty folder. Nothing in it tells that a
share is missing, so that a new one would be made on the system's own disk.
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


def expect(share: Share, directory: Path | None = None) -> None:
    """Look whether an empty folder is what should be a share.

    Raises:
        ShareAwayError: a share was here, on another file system. A folder for the service's state, even an empty one,
            says that a new share is meant.
    """
    device = _read(directory).get(str(share.root))
    state = share.root / STATE_DIR
    if device is None or not share.root.is_dir() or state.exists() or share.root.stat().st_dev == device:
        return
    raise ShareAwayError(
        f"The share that was at {share.root} is not mounted: an empty folder of another file system lies there.",
        remedy=f"Mount the share. Where a new share is meant: mkdir {state}",
    )


def remember(share: Share, identity: ShareIdentity, directory: Path | None = None) -> None:
    """Keep in mind where the share was seen, if there is a place for that."""
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
