"""The directory for files that can be made again: converted models, engines, kernels."""

from __future__ import annotations

import os
from pathlib import Path


def default_cache_dir() -> Path:
    """Return systemd's cache directory, else that of the XDG base directories."""
    base = os.environ.get("CACHE_DIRECTORY", "").partition(":")[0] or os.environ.get("XDG_CACHE_HOME")
    if base:
        return Path(base) / "dualface"
    try:
        return Path.home() / ".cache" / "dualface"
    except RuntimeError:  # an account without a home: this path cannot be written, so nothing is cached
        return Path("/nonexistent/dualface")
