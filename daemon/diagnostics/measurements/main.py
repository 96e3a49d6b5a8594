"""A program that measures one kind of facts and prints them as JSON.

Usage: ``python -m daemon.diagnostics.measurements.main KIND TARGET``. It is a separate program, because a hanging share
would block its caller, and because it may run as another user.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from daemon.diagnostics.measurements.files import Folders, Names, Times
from daemon.diagnostics.measurements.mount import Presence, ShareMount, Space
from daemon.diagnostics.measurements.renaming import Renaming, Syncing
from daemon.diagnostics.measurements.target import Measurement, Target
from daemon.diagnostics.measurements.visibility import Events, Lag
from daemon.errors import ShareUnusableError
from engines.files import FULL
from engines.json_answer import answer
from pipeline.errors import DiskFullError

_ALL: tuple[type[Measurement], ...] = (
    Presence, ShareMount, Space, Renaming, Syncing, Folders, Times, Names, Events, Lag,
)  # fmt: skip
KINDS = {kind.__name__: kind for kind in _ALL}


def target_as_text(target: Target) -> str:
    """Return a target as an argument of the program."""
    folders = {name: str(folder) for name, folder in target.folders.items()}
    return json.dumps({"root": str(target.root), "folders": folders, "through": target.through and str(target.through)})


def _target(text: str) -> Target:
    fields = json.loads(text)
    folders = {name: Path(folder) for name, folder in fields["folders"].items()}
    return Target(Path(fields["root"]), folders, Path(fields["through"]) if fields["through"] else None)


def measure(kind: type[Measurement], target: Target) -> dict[str, Any]:
    """Measure, and return the facts as a JSON object.

    Raises:
        DiskFullError: the disk is full.
        ShareUnusableError: the share cannot be measured.
    """
    try:
        return asdict(kind.measured(target))
    except OSError as exc:
        if exc.errno in FULL:
            raise DiskFullError(f"The share cannot be measured: {exc.strerror}") from exc
        raise ShareUnusableError(f"The share cannot be measured: {exc.strerror}: {exc.filename}") from exc


def main() -> None:
    kind, target = KINDS[sys.argv[1]], _target(sys.argv[2])
    answer(lambda: measure(kind, target))


if __name__ == "__main__":
    main()
