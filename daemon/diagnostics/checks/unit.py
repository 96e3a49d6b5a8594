"""The state of the service's unit, from systemd."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

NAME = "dualface.service"
_PROPERTIES = (
    "LoadState", "ActiveState", "SubState", "Result", "UnitFileState", "User", "UMask", "NRestarts", "CacheDirectory",
    "StatusText",
)  # fmt: skip
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Unit:
    """Properties from ``systemctl show``; all empty if systemd does not run.

    Attributes:
        status: the status line of the service.
    """

    load: str = ""
    active: str = ""
    sub: str = ""
    result: str = ""
    enabled: str = ""
    user: str = ""
    umask: int = 0o022
    restarts: int = 0
    cache: str = ""
    status: str = ""

    @property
    def installed(self) -> bool:
        """Whether the unit is installed."""
        return self.load == "loaded"

    @classmethod
    def look_up(cls) -> Unit:
        """Ask systemd, if it runs here (sd_booted(3))."""
        if not Path("/run/systemd/system").is_dir() or shutil.which("systemctl") is None:
            return cls()
        command = ["systemctl", "show", NAME, *(f"--property={name}" for name in _PROPERTIES)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True)
        except (subprocess.SubprocessError, OSError):
            return cls()
        values = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
        load, active, sub, result, enabled, user, umask, restarts, cache, status = (
            values.get(name, "") for name in _PROPERTIES
        )
        folder = f"/var/cache/{cache.split()[0]}" if cache.strip() else ""
        return cls(load, active, sub, result, enabled, user, int(umask or "022", 8), int(restarts or 0), folder, status)
