"""Nothing leaves the machine, and nothing is gathered for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

DETECT = """
import numpy
from engines.inference.onnxruntime import OnnxRuntimeEngine
from engines.models import yunet
OnnxRuntimeEngine(yunet.load()).run(numpy.zeros((1, 3, 64, 64), numpy.float32))
"""


def test_the_runtime_of_the_models_keeps_no_record_of_its_use(tmp_path: Path) -> None:
    """Its telemetry begins with an identifier and a store of events below the home directory."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "ORT_")) and key != "CI"}
    subprocess.run([sys.executable, "-c", DETECT], env=clean | {"HOME": str(tmp_path)}, check=True, timeout=60)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []
