"""Where is measured: the share's folders, and a folder of our own on it that is gone afterwards."""

from __future__ import annotations

import errno
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

from daemon.layout import STATE_DIR
from engines.files import FULL

PROBE = ".dualface-probe-"  # the scan of inboxes passes over names that begin with a dot
_SCRATCH = "measure-"
_STEP_S = 0.01
_REMOVED_S = 15.0
_STALE_S = 3600.0  # no measurement takes so long: this one was killed


@dataclass(frozen=True, slots=True)
class Site:
    """A share as measurements see it.

    Attributes:
        folders: the share's folders by name; each belongs to users too, so only probes go there.
        through: another way to the same folder, such as a second mount or the server's own disk; None where there
            is none.
    """

    root: Path
    folders: dict[str, Path]
    through: Path | None = None

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """An empty folder on the share.

        Raises:
            OSError: none can be made.
        """
        state = self.root / STATE_DIR
        base, prefix = (state, _SCRATCH) if state.is_dir() else (self.root, f"{STATE_DIR}-{_SCRATCH}")
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=base))
        try:
            _clear_stale(base, prefix, folder.stat().st_mtime)
            yield folder
        finally:
            wait_until(lambda: _is_removed(folder), _REMOVED_S)

    def elsewhere(self, path: Path) -> Path:
        """The same file on the other way; only where there is one."""
        if self.through is None:
            raise ValueError("there is no other way to the share")
        return self.through / path.relative_to(self.root)


class Measurement(Protocol):
    """Facts that measure themselves. They are plain data: a program of its own can hand them over as JSON."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @classmethod
    def measured(cls, site: Site) -> Self:
        """Measure.

        Raises:
            OSError: the share does not let us.
        """
        ...


def probe_in(folder: Path) -> Path:
    """A path for an empty file in one of the users' folders."""
    return folder / f"{PROBE}{uuid.uuid4().hex}"


def refusal(action: Callable[[], object]) -> str:
    """Try something: "" where it works, else the error's name, such as "EPERM".

    Raises:
        OSError: the disk is full, which says nothing about what it can do otherwise.
    """
    try:
        action()
    except OSError as exc:
        if exc.errno in FULL:
            raise
        return errno.errorcode.get(exc.errno or 0, "EIO")
    return ""


def wait_until(condition: Callable[[], bool], longest_s: float) -> float | None:
    """Seconds until the condition was true; None where it did not come true in time."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > longest_s:
            return None
        time.sleep(_STEP_S)
    return time.monotonic() - begin


def _is_removed(folder: Path) -> bool:
    """Remove a folder; False where a cache still shows in it what has gone already, so that it must be tried again."""
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def _clear_stale(base: Path, prefix: str, now_s: float) -> None:
    """Remove what a measurement left that was killed. ``now_s`` is the share's own time."""
    for folder in base.glob(f"{prefix}*"):
        with suppress(OSError):
            if now_s - folder.stat().st_mtime > _STALE_S:
                shutil.rmtree(folder)
