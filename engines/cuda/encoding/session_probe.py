"""Count the NVENC sessions that open at once, as a program: ``python -m ... INDEX MOST``.

It is a separate program because it loads the driver and takes sessions that only its end frees for certain.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any

from engines.device_errors import cause_line, nvenc_status

_WIDTH, _HEIGHT = 1280, 720


def main() -> None:
    index, most = int(sys.argv[1]), int(sys.argv[2])
    sys.stdout.write(json.dumps(count(index, most)) + "\n")
    sys.stdout.flush()
    os._exit(0)  # a driver's teardown may hang


def count(index: int, most: int) -> dict[str, Any]:
    """Return the fields of ``engines.nvenc_sessions.SessionProbe``."""
    sessions: list[Any] = []
    try:
        library = importlib.import_module("PyNvVideoCodec")
        while len(sessions) < most:
            sessions.append(
                library.CreateEncoder(_WIDTH, _HEIGHT, "NV12", False, codec="h264", preset="P1", gpu_id=index)
            )
    except Exception as error:
        status = nvenc_status(error)
        words = f"NVENC returned error {status}" if status is not None else cause_line(error)
        return {"opened": len(sessions), "error": words, "status": status}
    return {"opened": len(sessions), "error": "", "status": None}


if __name__ == "__main__":
    main()
