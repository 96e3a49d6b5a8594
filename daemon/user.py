"""The person who runs a command."""

from __future__ import annotations

import getpass
import os


def user_name() -> str:
    """Return the name of the person at the keyboard, also behind sudo."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a user number without a name
        return f"user {os.getuid()}"
