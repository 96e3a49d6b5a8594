"""The CUDA engine's own work - sessions by shape, memory for outputs - with ONNX Runtime's CPU provider under it.

A stand-in for CuPy gives host memory that knows its address, so that ONNX Runtime reads and writes through the same
bindings as on a GPU. What a GPU does is tested on one, in tests/contract and tests/gpu.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engines.inference import cuda, device
from engines.inference.cuda import CudaOnnxRuntimeEngine
from engines.inference.onnxruntime import InferenceFailedError, OnnxRuntimeEngine
from engines.models import yunet


class OnGPU(np.ndarray):
    """Host memory with an address, as a CuPy array has it."""

    @property
    def data(self) -> Any:  # type: ignore[override]
        return SimpleNamespace(ptr=self.ctypes.data)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {"shape": self.shape}


class Stream(nullcontext[None]):
    ptr = 0


def on_gpu(array: Any, dtype: Any = None) -> OnGPU:
    return np.array(array, dtype or np.float32).view(OnGPU)


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """CuPy and the provider replaced; the sessions that are opened."""
    cupy = ModuleType("cupy")
    cupy.__dict__.update(
        cuda=SimpleNamespace(Device=lambda _: nullcontext(), Stream=Stream),
        empty=lambda shape, dtype: on_gpu(np.full(shape, np.nan), dtype),
        zeros=lambda shape, dtype: on_gpu(np.zeros(shape), dtype),
        empty_like=lambda array: on_gpu(np.full(array.shape, np.nan)),
        asarray=on_gpu,
        ascontiguousarray=lambda array, dtype: np.ascontiguousarray(array, dtype).view(OnGPU),
        asnumpy=np.array,
        concatenate=lambda arrays: np.concatenate(arrays).view(OnGPU),
    )
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(cuda, "_PROVIDER", "CPUExecutionProvider")
    monkeypatch.setattr(cuda, "_MEMORY", "cpu")
    monkeypatch.setattr(cuda, "_provider_options", lambda *_: {})
    opened: list[Any] = []
    open_session = cuda._session
    monkeypatch.setattr(cuda, "_session", lambda *given: opened.append(open_session(*given)) or opened[-1])
    yield opened


def frames(count: int, seed: int = 1, side: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 255, (count, 3, side, side)).astype(np.float32)


OPTIONS = [{}, {"fixed_outputs": True}, {"graphs": True}, {"graphs": True, "fixed_outputs": True}]


@pytest.mark.parametrize("options", OPTIONS)
def test_outputs_are_those_of_the_cpu_engine_whatever_came_before(
    sessions: list[Any], options: dict[str, bool]
) -> None:
    engine, reference = CudaOnnxRuntimeEngine(yunet.load(), **options), OnnxRuntimeEngine(yunet.load())
    for seed, count in enumerate((5, 3, 8, 1, 5, 4, 17)):
        batch = frames(count, seed)
        for found in (engine.run(batch), [np.array(output) for output in engine.run(on_gpu(batch))]):
            for one, other in zip(found, reference.run(batch), strict=True):
                np.testing.assert_allclose(one, other, atol=1e-5)


def test_every_size_has_a_session_of_its_own_and_every_run_the_same_length(
    sessions: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = CudaOnnxRuntimeEngine(yunet.load(), fixed_outputs=True)
    lengths = []
    execute = engine.execute
    monkeypatch.setattr(engine, "execute", lambda batch: lengths.append(len(batch)) or execute(batch))
    for count in (5, device.BATCH, 3, 2 * device.BATCH + 1, 1):
        assert {len(output) for output in engine.run(on_gpu(frames(count)))} == {count}
    assert lengths == [device.BATCH] * 7
    assert len(sessions) == 1
    engine.run(on_gpu(frames(5, side=96)))
    assert len(sessions) == 2


def test_sessions_that_were_not_used_for_long_are_given_up(sessions: list[Any]) -> None:
    engine = CudaOnnxRuntimeEngine(yunet.load(), fixed_outputs=True)
    sides = [32 * (n + 1) for n in range(cuda._MOST_PLANS + 1)]
    for side in sides:
        engine.run(on_gpu(frames(4, side=side)))
        engine.run(on_gpu(frames(4, side=sides[0])))
    assert len(engine._plans) == cuda._MOST_PLANS
    assert len(sessions) == len(sides)


def test_outputs_are_the_callers_unless_they_are_fixed(sessions: list[Any]) -> None:
    for options in OPTIONS:
        engine = CudaOnnxRuntimeEngine(yunet.load(), **options)
        first = engine.run(on_gpu(frames(4, 1)))
        kept = np.array(first[0])
        engine.run(on_gpu(frames(4, 2)))
        assert np.array_equal(kept, first[0]) == ("fixed_outputs" not in options)


def test_a_failed_run_leaves_the_engine_usable(sessions: list[Any]) -> None:
    engine = CudaOnnxRuntimeEngine(yunet.load(), fixed_outputs=True)
    with pytest.raises(InferenceFailedError, match="onnxruntime-cuda failed"):
        engine.run(on_gpu(np.zeros((4, 5, 64, 64))))
    assert len(engine.run(on_gpu(frames(4)))) == 12
