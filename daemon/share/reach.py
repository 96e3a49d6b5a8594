"""Checks for commands whether the share is there, before they read it or write a control file."""

from __future__ import annotations

import threading
from pathlib import Path

from daemon.config.loader import load
from daemon.config.settings import Settings
from daemon.errors import DaemonError, StateRemovedError
from daemon.files import read_plain
from daemon.layout import SENTINEL
from daemon.share.share import LARGEST_BYTES, Share

_ANSWER_S = 8.0


class NoShareError(DaemonError):
    code = "NO_SHARE"
    remedy = "Check that the share is mounted (findmnt), or name the right folder with --root."
    doctor_check = "share-there"
    environmental = True


class ShareForbiddenError(DaemonError):
    code = "SHARE_FORBIDDEN"
    remedy = "Use sudo, or join the group that owns the folder: sudo usermod -aG dualface $USER, then log in again."
    environmental = True


def share_of(config: Path | None, root: Path | None) -> tuple[Share, Settings]:
    """Return the share that a command refers to, and its configuration.

    Raises:
        InvalidConfigError: the configuration is wrong.
        NoShareError, ShareForbiddenError: see ``check``.
    """
    settings = load(config, {"share.root": str(root)} if root else None)
    share = Share(settings)
    check(share)
    return share, settings


def check(share: Share) -> None:
    """Check that the share is there.

    Raises:
        NoShareError: it is not there, or does not answer within some seconds.
        ShareForbiddenError: this user may not look into it.
    """
    found: list[OSError | None] = []
    looking = threading.Thread(target=lambda: found.append(_read_sentinel(share)), daemon=True)
    looking.start()
    looking.join(_ANSWER_S)
    if not found:
        raise NoShareError(
            f"The share {share.root} does not answer.", remedy="Check the file server and the network, then try again."
        )
    if isinstance(found[0], PermissionError):
        raise ShareForbiddenError(f"You may not look into the share {share.root}.")
    if found[0] is not None and share.is_state_removed():
        raise NoShareError(share.state_removed_message, remedy=StateRemovedError.remedy)
    if found[0] is not None and not share.root.is_dir():
        raise NoShareError(f"The share's folder {share.root} does not exist.")
    if found[0] is not None:
        raise NoShareError(f"{share.root} is no share of dualface: no service has run there, or it is not mounted.")


def _read_sentinel(share: Share) -> OSError | None:
    """Return the error of reading the sentinel, None if it can be read. On a hung mount this does not return."""
    try:
        read_plain(share.state / SENTINEL, LARGEST_BYTES)
    except OSError as error:
        return error
    return None
