"""What people tell the services of a share: pause, resume, drain. A file on the share says it, so it works from every
machine that has the share, and lasts over restarts.
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
    """Ask all services to start nothing new; returns what they will give as the reason.

    Raises:
        NotAllowedError, NotChangedError: the share cannot be written.
    """
    text = _signed(reason)
    with writing(share.pause_file):
        replace_file(share.pause_file, f"{text}\n".encode(), writer=str(os.getpid()))
    return text


def drain(share: Share, hosts: Iterable[str], reason: str) -> str:
    """Ask the services of some hosts to finish what they have claimed and take nothing new.

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
    """Take back every pause and drain; returns what was taken back, in words.

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
    """A reason that explains itself to whoever finds it months later."""
    when = time.strftime("%Y-%m-%d %H:%M %Z")
    whence = f"{user_name()} on {socket.gethostname()}, {when}"
    return f"{' '.join(reason.split())} ({whence})" if reason.strip() else f"by {whence}"


def _drains(share: Share) -> list[Path]:
    return sorted(share.hosts.glob(f"*{DRAIN_SUFFIX}"))


def _remove(path: Path) -> None:
    """Remove a file, or the empty folder that somebody made of it on a desktop."""
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's refusal to change ``path`` into a sentence with a remedy.

    Raises:
        NotAllowedError, NotChangedError: so it is.
    """
    try:
        yield
    except PermissionError as error:
        raise NotAllowedError(f"You may not write {path}.") from error
    except IsADirectoryError as error:
        raise NotChangedError(f"{path} is a folder.", remedy="Remove the folder; it acts like the file.") from error
    except OSError as error:
        raise NotChangedError(f"{path} cannot be changed: {error.strerror}.") from error
