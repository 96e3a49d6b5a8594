"""The cluster's token: whoever has it may run programs on all nodes, as the service's user."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from daemon.cluster.errors import TokenError
from daemon.files import read_plain

_LARGEST_BYTES = 4096
_SHORTEST = 32


def read(path: Path) -> str:
    """Return the token.

    Raises:
        TokenError: the file is missing, others may read it, or it holds no token.
    """
    try:
        mode = path.stat().st_mode
        token = read_plain(path, _LARGEST_BYTES).decode("ascii").strip()
    except (OSError, ValueError) as error:
        raise TokenError(f"The token cannot be read from {path}: {error}.") from error
    if mode & 0o077:
        raise TokenError(f"Others may read {path}.", remedy=f"Take that away: chmod 600 {path}")
    if len(token) < _SHORTEST:
        raise TokenError(f"{path} holds less than {_SHORTEST} characters.")
    return token


def make_if_missing(path: Path) -> bool:
    """Write a random token, unless there is a file.

    Returns:
        Whether it was written.

    Raises:
        TokenError: it cannot be written.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return False
    except OSError as error:
        raise TokenError(f"{path} cannot be written: {error.strerror}.", remedy="Choose cluster.token_file.") from error
    with os.fdopen(fd, "w") as file:
        file.write(secrets.token_hex(32))
    return True
