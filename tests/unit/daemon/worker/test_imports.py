"""The service's own process never loads codecs or model runtimes: a hostile file can only hurt a worker."""

from __future__ import annotations

import subprocess
import sys


def test_the_service_loads_no_codecs() -> None:
    script = (
        "import sys, daemon.service.main; print([m for m in ('av', 'cv2', 'onnxruntime', 'cupy') if m in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert loaded.stdout.strip() == "[]"
