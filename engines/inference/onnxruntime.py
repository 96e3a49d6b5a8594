"""ONNX Runtime on the CPU."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.errors import EngineError, ModelUnavailableError
from engines.inference.ort_library import onnxruntime

_FATAL_ONLY = 4  # errors are raised; stderr would repeat them


class InferenceFailedError(EngineError):
    code = "INFERENCE_FAILED"
    remedy = "Retry the file; if it fails again, report it with the journal's lines for the job."
    retryable = True


class OnnxRuntimeEngine:
    """One ONNX model on the CPU provider.

    The same input gives the same bits in any batch, so that a resumed job gives exactly the output of an
    undisturbed one.
    """

    name = "onnxruntime-cpu"

    def __init__(self, model: bytes | Path, *, threads: int = 1) -> None:
        """Load ``model``, which has one input: a serialised ONNX file, or a file's path.

        Raises:
            ModelUnavailableError: ONNX Runtime refuses the model.
        """
        try:
            self._session = new_session(model, session_options(threads))
        except Exception as error:  # ONNX Runtime's own exceptions have no common base
            raise ModelUnavailableError(f"ONNX Runtime cannot load the model: {error}") from error
        self._input = self._session.get_inputs()[0].name

    def run(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return outputs in the model's order for an input of shape (N, ...).

        Raises:
            InferenceFailedError: the input does not fit the model, or the runtime failed.
        """
        try:
            outputs: list[NDArray[np.float32]] = self._session.run(None, {self._input: batch})
        except Exception as error:  # as above
            raise InferenceFailedError(f"ONNX Runtime failed: {error}") from error
        return outputs

    def close(self) -> None:
        """Free the session's memory; the engine must not be used afterwards."""
        del self._session


def new_session(model: bytes | Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    """Open a session on the CPU; errors of ONNX Runtime pass through."""
    given = model if isinstance(model, bytes) else os.fspath(model)
    return onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """Return the options of sessions on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    # Waiting threads must leave the cores to decoders and encoders.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options
