"""How a process has ended, in words."""

from __future__ import annotations

import signal

from daemon.executor.protocol import Died


def died(status: int) -> Died:
    """Return the outcome for an exit status as ``subprocess.Popen`` gives it: negative for a signal."""
    if status >= 0:
        return Died("", status)
    try:
        return Died(signal.Signals(-status).name, status)
    except ValueError:
        return Died(f"signal {-status}", status)
