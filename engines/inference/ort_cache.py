"""The cache of models that ONNX Runtime has optimised for this CPU.

A session of such a model opens in a tenth of the time and holds its weights once.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

import structlog

from engines import checked_file
from engines.cache_dir import default_cache_dir
from engines.errors import ModelUnavailableError
from engines.inference.onnxruntime import OnnxRuntimeEngine, new_session, session_options
from engines.inference.ort_library import onnxruntime

log = structlog.get_logger(__name__)


def open_prepared(
    name: str, load: Callable[[], bytes], *, cache_dir: Path | None = None, threads: int = 1
) -> OnnxRuntimeEngine:
    """Open an engine for a model, optimised now or earlier; if the result cannot be cached, load the original.

    Args:
        name: changes whenever the model does.
        load: returns the model as ONNX.
        cache_dir: for prepared models; None is the user's own cache.

    Raises:
        ModelUnavailableError: there is no such model, or ONNX Runtime refuses it.
    """
    path = (cache_dir or default_cache_dir()) / f"{name}-ort{onnxruntime.__version__}-{_cpu()}.ort"
    if checked_file.is_intact(path):
        try:
            return OnnxRuntimeEngine(path, threads=threads)
        except ModelUnavailableError as error:
            log.warning("prepared model passed over", path=str(path), reason=error.message)
    model = load()
    try:
        checked_file.write(path, _prepared(model, path.parent))
        return OnnxRuntimeEngine(path, threads=threads)
    except Exception as error:  # ONNX Runtime's own exceptions have no common base; a full disk looks like one of them
        log.info("prepared model not kept", path=str(path), reason=str(error))
    return OnnxRuntimeEngine(model, threads=threads)


def _prepared(model: bytes, folder: Path) -> bytes:
    """Return the model in ONNX Runtime's own format."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".prepare-") as scratch:
        path = Path(scratch) / "model.ort"
        options = session_options(1)
        options.optimized_model_filepath = str(path)
        options.add_session_config_entry("session.save_model_format", "ORT")
        new_session(model, options)
        return path.read_bytes()


def _cpu() -> str:
    """Return a hash of the CPU's features: weights are laid out for the width of its vectors."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        lines = []
    able = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return hashlib.sha256(able.encode()).hexdigest()[:8]
