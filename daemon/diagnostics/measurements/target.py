"""The place of measurements: the folders of the share, and a temporary folder on it."""

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

PROBE = ".dualface-probe-"  # the scan of inboxes ignores names that begin with a dot
_SCRATCH = "measure-"
_STEP_S = 0.01
_REMOVED_S = 15.0
_STALE_S = 3600.0  # longer than any measurement, so the one that made the folder was killed


@dataclass(frozen=True, slots=True)
class Target:
    """The share to be measured.

    Attributes:
        folders: the share's folders by name; users see them, so only probe files are created there.
        through: a second path to the root, such as another mount or the server's own disk; None if there is none.
    """

    root: Path
    folders: dict[str, Path]
    through: Path | None = None

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yield an empty temporary folder on the share.

        Raises:
            OSError: it cannot be created.
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
        """Return the same file by the second path.

        Raises:
            ValueError: there is no second path.
        """
        if self.through is None:
            raise ValueError("there is no second path to the share")
        return self.through / path.relative_to(self.root)


class Measurement(Protocol):
    """Facts that measure themselves. They are plain data, so that another process can pass them as JSON."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @classmethod
    def measured(cls, target: Target) -> Self:
        """Measure the share.

        Raises:
            OSError: that is not possible.
        """
        ...


def probe_in(folder: Path) -> Path:
    """Return a path for an empty probe file in a folder of the share."""
    return folder / f"{PROBE}{uuid.uuid4().hex}"


def refusal(action: Callable[[], object]) -> str:
    """Try an action; return "" if it works, else the name of the error, such as "EPERM".

    Raises:
        OSError: the disk is full, so the result would be meaningless.
    """
    try:
        action()
    except OSError as exc:
        if exc.errno in FULL:
            raise
        return errno.errorcode.get(exc.errno or 0, "EIO")
    return ""


def wait_until(condition: Callable[[], bool], longest_s: float) -> float | None:
    """Wait for a condition; return the seconds until it was true, None if it was not in time."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > longest_s:
            return None
        time.sleep(_STEP_S)
    return time.monotonic() - begin


def _is_removed(folder: Path) -> bool:
    """Remove a folder; return False if it must be tried again, because a cache still shows removed files."""
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def _clear_stale(base: Path, prefix: str, now_s: float) -> None:
    """Remove the folders of killed measurements.

    Args:
        now_s: the time by the share's clock.
    """
    for folder in base.glob(f"{prefix}*"):
        with suppress(OSError):
            if now_s - folder.stat().st_mtime > _STALE_S:
                shutil.rmtree(folder)
