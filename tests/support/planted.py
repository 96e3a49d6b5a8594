"""Links and pipes that somebody plants under names that the program reads or writes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

PLANTED = ("link", "hard link", "dangling", "pipe")
VICTIM = b"somebody else's"


def plant(path: Path, what: str, victim: Path) -> None:
    """Create a link to the file ``victim``, a link to nothing, or a pipe at ``path``."""
    victim.write_bytes(VICTIM)
    if what == "pipe":
        os.mkfifo(path)
    elif what == "hard link":
        path.hardlink_to(victim)
    else:
        path.symlink_to(victim if what == "link" else victim.with_name("nowhere"))


def in_time(action: Callable[[], Any]) -> Any:
    """Return or raise what the action does; an open pipe would make it wait for ever."""
    done: Future[Any] = Future()

    def run() -> None:
        try:
            done.set_result(action())
        except Exception as error:
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return done.result(timeout=10)


def assert_plain(path: Path) -> None:
    """Check that this is a regular file of its own."""
    assert path.is_file()
    assert not path.is_symlink()
    assert path.stat().st_nlink == 1
