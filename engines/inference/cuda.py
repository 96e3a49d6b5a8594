"""ONNX Runtime on a GPU, on the caller's stream, without copies through the host."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from engines.device_errors import device_errors
from engines.errors import Component, DeviceUnavailableError, EngineError, ModelUnavailableError
from engines.inference.device import DeviceEngine
from engines.inference.ort_library import onnxruntime

_PROVIDER, _MEMORY = "CUDAExecutionProvider", "cuda"
_ERRORS, _FATAL_ONLY = 3, 4
_NO_GRAPH, _ONLY_GRAPH = "-1", "1"
_MOST_PLANS = 8  # a session of the detector holds about as much memory as a decoder


class CudaOnnxRuntimeEngine(DeviceEngine):
    """One ONNX model on the CUDA provider.

    Args:
        model: a serialised ONNX file with one input.
        index: number of the CUDA device.
        stream: CUstream on which everything runs; 0 takes one that is in order with the default stream.
        memory_bytes: most that ONNX Runtime may hold for one shape of the input; None leaves it to the GPU.
        graphs: record a CUDA graph for every shape of the input and replay it: saves the launches of many small
            kernels, costs a copy of the input, and memory for every shape. While one is recorded, at the second run or
            so with a new shape, no other thread of the process may allocate memory of the GPU.
        fixed_outputs: outputs hold until the next run with an input of the same shape, which saves describing them
            anew each time: for a caller that reads them on the same stream before the next run.

    Raises:
        ModelUnavailableError: ONNX Runtime refuses the model.
        DeviceUnavailableError: its CUDA provider does not load; it would run on the CPU without notice.
        DeviceOutOfMemoryError: the GPU has no memory left for it.
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
        self._model = model
        self._provider = _provider_options(index, int(self._stream.ptr), memory_bytes, graphs)
        self._graphs, self._fixed = graphs, fixed_outputs
        with self.current():
            self._unused: Any = _session(model, self._provider)
        self._input = self._unused.get_inputs()[0].name
        self._names = [output.name for output in self._unused.get_outputs()]
        self._plans: OrderedDict[tuple[int, ...], _Plan] = OrderedDict()

    def execute(self, batch: Any) -> list[Any]:
        plan = self._plans.get(batch.shape) or self._plan(batch)
        self._plans.move_to_end(batch.shape)
        if not (self._fixed or self._graphs):
            _, outputs = self._outputs(plan.shapes)
            plan.session.run_with_iobinding(self._binding(plan.session, batch, outputs), self._options)
            return outputs
        if plan.given is None:
            self._bind(plan.binding.bind_input, self._input, batch)
        else:
            plan.given[...] = batch
        plan.session.run_with_iobinding(plan.binding, self._options)
        return plan.outputs if self._fixed else self._copied(plan)

    def close(self) -> None:
        """Free the sessions' memory; the engine must not be used afterwards."""
        self._plans.clear()
        self._unused = None

    @property
    def _options(self) -> onnxruntime.RunOptions:
        return _run_options(_ONLY_GRAPH if self._graphs else _NO_GRAPH)

    def _plan(self, batch: Any) -> _Plan:
        """Return a session for inputs of this shape, with its outputs' shapes, which a first run shows.

        ONNX Runtime holds cuDNN's plans only for the last shape; making them again took 70 ms to 2 s on an H200.
        """
        session, self._unused = self._unused or _session(self._model, self._provider), None
        binding = session.io_binding()
        self._bind(binding.bind_input, self._input, batch)
        for name in self._names:
            binding.bind_output(name, _MEMORY, self._index)
        session.run_with_iobinding(binding, _run_options(_NO_GRAPH))
        shapes = [tuple(value.shape()) for value in binding.get_outputs()]
        block, outputs = self._outputs(shapes)
        given = self._cupy.empty_like(batch) if self._graphs else None
        fixed = self._binding(session, batch if given is None else given, outputs)
        self._plans[batch.shape] = _Plan(session, shapes, fixed, block, outputs, given)
        if len(self._plans) > _MOST_PLANS:
            self._plans.popitem(last=False)
        return self._plans[batch.shape]

    def _binding(self, session: Any, batch: Any, outputs: list[Any]) -> Any:
        """Return ONNX Runtime's description of where input and outputs lie."""
        binding = session.io_binding()
        self._bind(binding.bind_input, self._input, batch)
        for name, output in zip(self._names, outputs, strict=True):
            self._bind(binding.bind_output, name, output)
        return binding

    def _bind(self, bind: Any, name: str, array: Any) -> None:
        bind(name, _MEMORY, self._index, np.float32, tuple(array.shape), array.data.ptr)

    def _copied(self, plan: _Plan) -> list[Any]:
        block, outputs = self._outputs(plan.shapes)
        block[...] = plan.block
        return outputs


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """A session for one shape of the input, and memory with a fixed address: a recorded graph needs that.

    ``block`` holds all ``outputs``; ``given`` is the input of a graph, None where there is none.
    """

    session: Any
    shapes: list[tuple[int, ...]]
    binding: Any
    block: Any
    outputs: list[Any]
    given: Any


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
            component=Component.LIBRARIES,
        )
    return session


def _provider_options(index: int, stream: int, memory_bytes: int | None, graphs: bool) -> dict[str, str]:
    options = {
        "device_id": str(index),
        "arena_extend_strategy": "kSameAsRequested",  # else it doubles, and reaches the guard half used
        "use_tf32": "0",  # fp32 as on the CPU, so that both decide alike
        "cudnn_conv_algo_search": "HEURISTIC",  # the other searches measure every new batch size for seconds
        "user_compute_stream": str(stream),
    }
    if memory_bytes is not None:
        options["gpu_mem_limit"] = str(memory_bytes)
    if graphs:
        options["enable_cuda_graph"] = "1"
    return options


@cache
def _run_options(graph: str) -> onnxruntime.RunOptions:
    """Return options of a run that does not wait for the GPU: the reader of the outputs waits, on the stream."""
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("disable_synchronize_execution_providers", "1")
    options.add_run_config_entry("gpu_graph_id", graph)
    return options


@cache
def _preload_libraries() -> None:
    """Load CUDA and cuDNN from the wheels of this environment, before ONNX Runtime looks for them elsewhere."""
    onnxruntime.set_default_logger_severity(_ERRORS)  # its warnings are harmless
    preload = getattr(onnxruntime, "preload_dlls", None)
    if preload is not None:
        preload()
