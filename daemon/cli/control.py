"""Pause, resume and drain: control files on the share, which the services read.

So the commands work from every machine with the share, and their effect outlasts restarts.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.errors import DaemonError
from daemon.layout import DRAIN_SUFFIX
from daemon.share.share import Share
from daemon.user import user_name
from engines.files import replace_file


class NotAllowedError(DaemonError):
    code = "NOT_ALLOWED"
    remedy = "Use sudo, or join the group that owns the folder: sudo usermod -aG dualface $USER, then log in again."
    environmental = True


class NotChangedError(DaemonError):
    code = "NOT_CHANGED"
    remedy = "Check the share's free space and its file server, then try again."
    doctor_check = "share"
    environmental = True


def pause(share: Share, reason: str) -> str:
    """Ask all services to start nothing new; return the reason that they will show.

    Raises:
        NotAllowedError, NotChangedError: the share cannot be written.
    """
    text = _signed(reason)
    with writing(share.pause_file):
        replace_file(share.pause_file, f"{text}\n".encode(), writer=str(os.getpid()))
    return text


def drain(share: Share, hosts: Iterable[str], reason: str) -> str:
    """Ask the services of some hosts to finish their claimed jobs and claim nothing new.

    Raises:
        NotAllowedError, NotChangedError: the share cannot be written.
    """
    text = _signed(reason)
    for host in hosts:
        path = share.drain_file(host)
        with writing(path):
            replace_file(path, f"{text}\n".encode(), writer=str(os.getpid()))
    return text


def resume(share: Share) -> list[str]:
    """End all pauses and drains; return them in words.

    Raises:
        NotAllowedError, NotChangedError: the share cannot be written.
    """
    ended = []
    pauses = [(path, "the pause") for path in share.pause_files()]
    for path, what in (*pauses, *((path, f"the draining of {path.stem}") for path in _drains(share))):
        with writing(path):
            _remove(path)
        ended.append(what)
    return ended


def _signed(reason: str) -> str:
    """Return the reason with name, host and time."""
    when = time.strftime("%Y-%m-%d %H:%M %Z")
    origin = f"{user_name()} on {socket.gethostname()}, {when}"
    return f"{' '.join(reason.split())} ({origin})" if reason.strip() else f"by {origin}"


def _drains(share: Share) -> list[Path]:
    return sorted(share.hosts.glob(f"*{DRAIN_SUFFIX}"))


def _remove(path: Path) -> None:
    """Remove a control file, or an empty folder of that name."""
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Convert errors on changing ``path``.

    Raises:
        NotAllowedError: permission is missing.
        NotChangedError: for other errors of the system.
    """
    try:
        yield
    except PermissionError as error:
        raise NotAllowedError(f"You may not write {path}.") from error
    except IsADirectoryError as error:
        raise NotChangedError(f"{path} is a folder.", remedy="Remove the folder; it acts like the file.") from error
    except OSError as error:
        raise NotChangedError(f"{path} cannot be changed: {error.strerror}.") from error
