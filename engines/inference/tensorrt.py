"""Engines of TensorRT and TensorRT for RTX, which have the same interface."""

from __future__ import annotations

from typing import Any

from engines.errors import DeviceOutOfMemoryError, EngineError, ModelUnavailableError
from engines.inference.build import Library, trt_logger
from engines.inference.device import DeviceEngine
from engines.inference.onnxruntime import InferenceFailedError


class EngineRefusedError(ModelUnavailableError):
    """The library does not take the engine: another version built it, or for another GPU, or there is no driver."""

    code = "ENGINE_REFUSED"
    remedy = "Build the engine again on this machine."


class TensorRtEngine(DeviceEngine):
    """One built engine with one input.

    Memory for intermediate results comes from CuPy's pool, as much as the input's size needs and not as much as
    the largest size that the engine is built for.

    Args:
        plan: the serialised engine.
        library: the one that built it.
        precision: for the name.
        index: number of the CUDA device.
        stream: CUstream on which everything runs; 0 takes one that is in order with the default stream.

    Raises:
        EngineRefusedError: the library does not take it.
        DeviceOutOfMemoryError: the GPU has no memory left for it.
    """

    def __init__(self, plan: bytes, library: Library, *, precision: str, index: int = 0, stream: int = 0) -> None:
        self.name = f"{library.name}-{precision}"
        trt = library.module
        self._logger = trt_logger(trt)
        self._runtime = trt.Runtime(self._logger.sink)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise self._refusal("does not take the engine")
        super().__init__(index, stream)
        with self.current():
            strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
            self._context = self._engine.create_execution_context(strategy)
        if self._context is None:
            raise self._refusal("creates no context")
        names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
        is_input = [self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT for name in names]
        self._input = next(name for name, given in zip(names, is_input, strict=True) if given)
        self._names = [name for name, given in zip(names, is_input, strict=True) if not given]
        self._prepared: tuple[int, ...] = ()
        self._shapes: list[tuple[int, ...]] = []
        self._scratch: Any = None

    def execute(self, batch: Any) -> list[Any]:
        if batch.shape != self._prepared:
            self._prepare(batch.shape)
        _, outputs = self._outputs(self._shapes)
        self._context.set_tensor_address(self._input, batch.data.ptr)
        for name, output in zip(self._names, outputs, strict=True):
            self._context.set_tensor_address(name, output.data.ptr)
        if not self._context.execute_async_v3(self._stream.ptr):
            raise self._failure("does not run")
        return outputs

    def close(self) -> None:
        """Free the engine's memory; it must not be used afterwards."""
        self._scratch = None
        del self._context, self._engine, self._runtime

    def _prepare(self, shape: tuple[int, ...]) -> None:
        """Set up the context for inputs of this shape."""
        self._prepared = ()
        if not self._context.set_input_shape(self._input, shape):
            raise self._failure(f"does not take an input of shape {shape}")
        need_bytes = max(1, self._context.update_device_memory_size_for_shapes())
        if self._scratch is None or self._scratch.nbytes < need_bytes:
            self._scratch = None
            self._scratch = self._cupy.empty(need_bytes, "u1")
        self._context.set_device_memory(self._scratch.data.ptr, self._scratch.nbytes)
        self._shapes = [tuple(self._context.get_tensor_shape(name)) for name in self._names]
        self._prepared = shape

    def _refusal(self, what: str) -> EngineError:
        words = self._logger.last_error()
        return _out_of_memory(words) or EngineRefusedError(f"{self.name} {what}: {words}")

    def _failure(self, what: str) -> EngineError:
        words = self._logger.last_error()
        return _out_of_memory(words) or InferenceFailedError(f"{self.name} {what}: {words}")


def _out_of_memory(words: str) -> EngineError | None:
    """Return our error if the library's log reports a lack of memory: it raises nothing."""
    if "out of memory" in words.lower() or "OutOfMemory" in words:
        return DeviceOutOfMemoryError(f"The GPU ran out of memory for a model: {words}")
    return None
