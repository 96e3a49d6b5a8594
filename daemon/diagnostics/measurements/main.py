"""Measures one kind of facts and prints them as JSON: ``python -m daemon.diagnostics.measurements.main KIND SITE``.

A program of its own, because a share that hangs would hang its caller too, and because it may have to run as another
user.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from daemon.diagnostics.measurements.files import Folders, Names, Times
from daemon.diagnostics.measurements.mount import Place, Presence, Space
from daemon.diagnostics.measurements.renaming import Renaming, Syncing
from daemon.diagnostics.measurements.target import Measurement, Site
from daemon.diagnostics.measurements.visibility import Events, Lag
from daemon.errors import ShareUnusableError
from engines.files import FULL
from engines.json_answer import answer
from pipeline.errors import DiskFullError

_ALL: tuple[type[Measurement], ...] = (
    Presence, Place, Space, Renaming, Syncing, Folders, Times, Names, Events, Lag,
)  # fmt: skip
KINDS = {kind.__name__: kind for kind in _ALL}


def site_as_text(site: Site) -> str:
    """A site as an argument of the program."""
    folders = {name: str(folder) for name, folder in site.folders.items()}
    return json.dumps({"root": str(site.root), "folders": folders, "through": site.through and str(site.through)})


def _site(text: str) -> Site:
    told = json.loads(text)
    folders = {name: Path(folder) for name, folder in told["folders"].items()}
    return Site(Path(told["root"]), folders, Path(told["through"]) if told["through"] else None)


def measure(kind: type[Measurement], site: Site) -> dict[str, Any]:
    """The facts, as JSON holds them.

    Raises:
        ShareUnusableError: the share does not let us measure.
    """
    try:
        return asdict(kind.measured(site))
    except OSError as exc:
        if exc.errno in FULL:
            raise DiskFullError(f"The share cannot be measured: {exc.strerror}") from exc
        raise ShareUnusableError(f"The share cannot be measured: {exc.strerror}: {exc.filename}") from exc


def main() -> None:
    kind, site = KINDS[sys.argv[1]], _site(sys.argv[2])
    answer(lambda: measure(kind, site))


if __name__ == "__main__":
    main()
