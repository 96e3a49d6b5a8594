"""ONNX Runtime on a card, on the stream of whoever uses it, without copies through the host."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import onnxruntime

from engines.cuda.failures import device_errors
from engines.errors import DeviceUnavailableError, EngineError, ModelUnavailableError
from engines.inference.device import DeviceEngine

_PROVIDER = "CUDAExecutionProvider"
_ERRORS, _FATAL_ONLY = 3, 4
_NO_GRAPH = "-1"


class CudaOnnxRuntimeEngine(DeviceEngine):
    """One ONNX model on the CUDA provider.

    Args:
        model: a serialised ONNX file with one input.
        index: number of the CUDA device.
        stream: CUstream on which everything runs; 0 takes one that is in order with the default stream.
        memory_bytes: most that ONNX Runtime may hold for this model; None leaves it to the card.
        graphs: record a CUDA graph for every shape of the input and replay it: saves the launches of many small
            kernels, costs a copy of the input, and memory for every shape. While one is recorded, at the second run or
            so with a new shape, no other thread of the process may allocate memory of the card.
        fixed_outputs: outputs hold until the next run with an input of the same shape, which saves describing them
            anew each time: for who reads them on the same stream before the next run.

    Raises:
        ModelUnavailableError: ONNX Runtime refuses the model.
        DeviceUnavailableError: its CUDA provider does not load; it would run on the CPU in silence.
        DeviceOutOfMemoryError: the card has no memory left for it.
    """

    name = "onnxruntime-cuda"

    def __init__(
        self,
        model: bytes,
        *,
        index: int = 0,
        stream: int = 0,
        memory_bytes: int | None = None,
        graphs: bool = False,
        fixed_outputs: bool = False,
    ) -> None:
        super().__init__(index, stream)
        _preload_libraries()
        with self.current():
            self._session = _session(model, _provider_options(index, int(self._stream.ptr), memory_bytes, graphs))
        self._input = self._session.get_inputs()[0].name
        self._names = [output.name for output in self._session.get_outputs()]
        self._shapes: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
        self._graphs: dict[tuple[int, ...], _Graph] | None = {} if graphs else None
        self._fixed: dict[tuple[int, ...], tuple[Any, list[Any]]] | None = {} if fixed_outputs else None
        self._options = _run_options(_NO_GRAPH)

    def execute(self, batch: Any) -> list[Any]:
        shapes = self._shapes.get(batch.shape) or self._learn_shapes(batch)
        if self._graphs is None:
            binding, outputs = self._bound(batch, shapes)
            self._session.run_with_iobinding(binding, self._options)
            return outputs
        if batch.shape not in self._graphs:
            self._graphs[batch.shape] = self._graph(batch, shapes)
        return self._replay(self._graphs[batch.shape], batch, shapes)

    def close(self) -> None:
        """Give the session's memory back; the engine must not be used afterwards."""
        for kept in (self._graphs, self._fixed):
            if kept is not None:
                kept.clear()
        del self._session

    def _learn_shapes(self, batch: Any) -> list[tuple[int, ...]]:
        """The outputs' shapes for inputs like this: a first run in ONNX Runtime's own memory tells them."""
        binding = self._session.io_binding()
        self._bind(binding.bind_input, self._input, batch)
        for name in self._names:
            binding.bind_output(name, "cuda", self._index)
        self._session.run_with_iobinding(binding, self._options)
        self._shapes[batch.shape] = [tuple(value.shape()) for value in binding.get_outputs()]
        return self._shapes[batch.shape]

    def _bound(self, batch: Any, shapes: list[tuple[int, ...]]) -> tuple[Any, list[Any]]:
        """Memory for the outputs, new or that of the last run, and where ONNX Runtime finds it and the input."""
        if self._fixed is None:
            _, outputs = self._outputs(shapes)
            return self._binding(batch, outputs), outputs
        if batch.shape not in self._fixed:
            _, outputs = self._outputs(shapes)
            self._fixed[batch.shape] = self._binding(batch, outputs), outputs
        binding, outputs = self._fixed[batch.shape]
        self._bind(binding.bind_input, self._input, batch)
        return binding, outputs

    def _binding(self, batch: Any, outputs: list[Any]) -> Any:
        """ONNX Runtime's description of where input and outputs lie."""
        binding = self._session.io_binding()
        self._bind(binding.bind_input, self._input, batch)
        for name, output in zip(self._names, outputs, strict=True):
            self._bind(binding.bind_output, name, output)
        return binding

    def _bind(self, bind: Any, name: str, array: Any) -> None:
        bind(name, "cuda", self._index, np.float32, tuple(array.shape), array.data.ptr)

    def _graph(self, batch: Any, shapes: list[tuple[int, ...]]) -> _Graph:
        """Memory that stays where it is, which a graph needs; ONNX Runtime records at the first runs with a new id."""
        block, outputs = self._outputs(shapes)
        given = self._cupy.empty_like(batch)
        number = str(len(self._graphs or {}) + 1)
        return _Graph(given, block, outputs, self._binding(given, outputs), _run_options(number))

    def _replay(self, graph: _Graph, batch: Any, shapes: list[tuple[int, ...]]) -> list[Any]:
        graph.given[...] = batch
        self._session.run_with_iobinding(graph.binding, graph.options)
        if self._fixed is not None:
            return graph.outputs
        block, outputs = self._outputs(shapes)
        block[...] = graph.block
        return outputs


class _Graph:
    """What a recorded graph reads and writes."""

    def __init__(
        self, given: Any, block: Any, outputs: list[Any], binding: Any, options: onnxruntime.RunOptions
    ) -> None:
        self.given = given
        self.block = block
        self.outputs = outputs
        self.binding = binding
        self.options = options


def _session(model: bytes, provider: dict[str, str]) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        with device_errors("loading a model"):
            session = onnxruntime.InferenceSession(model, options, providers=[(_PROVIDER, provider)])
    except EngineError:
        raise
    except Exception as error:  # ONNX Runtime's own exceptions have no common base
        raise ModelUnavailableError(f"ONNX Runtime cannot load the model: {error}") from error
    if session.get_providers()[0] != _PROVIDER:
        raise DeviceUnavailableError(
            f"ONNX Runtime {onnxruntime.__version__} has no working CUDA provider",
            remedy="Install onnxruntime-gpu, CUDA 13 and cuDNN 9, and uninstall onnxruntime, which hides it.",
        )
    return session


def _provider_options(index: int, stream: int, memory_bytes: int | None, graphs: bool) -> dict[str, str]:
    options = {
        "device_id": str(index),
        "arena_extend_strategy": "kSameAsRequested",  # else it doubles, and the guard is reached with half in use
        "use_tf32": "0",  # fp32 as on the CPU, so that both decide alike
        "cudnn_conv_algo_search": "HEURISTIC",  # the other ways measure every new batch size, for seconds
        "user_compute_stream": str(stream),
    }
    if memory_bytes is not None:
        options["gpu_mem_limit"] = str(memory_bytes)
    if graphs:
        options["enable_cuda_graph"] = "1"
    return options


def _run_options(graph: str) -> onnxruntime.RunOptions:
    """Runs do not wait for the card: whoever reads the outputs does, on the stream."""
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("disable_synchronize_execution_providers", "1")
    options.add_run_config_entry("gpu_graph_id", graph)
    return options


@cache
def _preload_libraries() -> None:
    """Load CUDA and cuDNN from the wheels of this environment, before ONNX Runtime looks for them elsewhere."""
    onnxruntime.set_default_logger_severity(_ERRORS)  # it warns of things that are in order
    preload = getattr(onnxruntime, "preload_dlls", None)
    if preload is not None:
        preload()
