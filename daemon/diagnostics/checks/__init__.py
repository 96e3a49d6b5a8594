"""The checks of ``dualface doctor``. Importing this package registers all of them, in the order of display.

Imports `framework`, `measurements` and what `daemon.diagnostics` may import. Begin at `context.py`, which finds out the
facts that the checks judge.
"""

from __future__ import annotations

from daemon.diagnostics.checks import software  # isort: skip
from daemon.diagnostics.checks import host  # isort: skip
from daemon.diagnostics.checks import device  # isort: skip
from daemon.diagnostics.checks import share  # isort: skip
from daemon.diagnostics.checks import cluster  # isort: skip
from daemon.diagnostics.checks import observers  # isort: skip

__all__ = ["cluster", "device", "host", "observers", "share", "software"]
