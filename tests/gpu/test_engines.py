"""Engines on a real GPU: streams, memory, and a GPU that is full."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.cuda.memory import MIB, open_manager
from engines.errors import DeviceOutOfMemoryError
from engines.inference.cache import EngineCache
from engines.inference.cuda import CudaOnnxRuntimeEngine
from engines.inference.onnxruntime import OnnxRuntimeEngine
from engines.inference.select import EngineDevice, open_engine
from engines.models import yunet
from engines.settings import DeviceSettings
from tests.support.gpu_presence import needs_gpu

pytestmark = [pytest.mark.gpu, needs_gpu]


@pytest.fixture
def cupy() -> Iterator[Any]:
    module = pytest.importorskip("cupy")
    yield module
    gc.collect()
    module.get_default_memory_pool().set_limit(size=0)
    module.get_default_memory_pool().free_all_blocks()


def frames(count: int, height: int = 384, width: int = 640, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 255, (count, 3, height, width)).astype(np.float32)


@pytest.mark.parametrize("options", [{}, {"fixed_outputs": True}, {"graphs": True}])
def test_inputs_on_the_gpu_give_outputs_on_the_gpu_in_the_order_of_the_stream(
    cupy: Any, options: dict[str, bool]
) -> None:
    stream = cupy.cuda.Stream(non_blocking=True)
    engine = CudaOnnxRuntimeEngine(yunet.load(), stream=stream.ptr, **options)
    reference = OnnxRuntimeEngine(yunet.load(), threads=4)
    for seed in range(4):  # with graphs: recorded at first, then replayed
        batch = frames(3, seed=seed)
        with stream:
            given = cupy.asarray(batch)
            outputs = engine.run(given)
            given[...] = 0  # ordered behind the run
            assert all(isinstance(output, cupy.ndarray) for output in outputs)
            found = [cupy.asnumpy(output) for output in outputs]
        for one, other in zip(found, reference.run(batch), strict=True):
            np.testing.assert_allclose(one, other, atol=0.02)
    engine.close()


def test_after_warm_up_nothing_is_allocated(cupy: Any) -> None:
    engine = CudaOnnxRuntimeEngine(yunet.load())
    given = cupy.asarray(frames(8))

    def run() -> None:
        engine.run(given)
        cupy.cuda.Stream.null.synchronize()

    for _ in range(3):
        run()
    free_before = cupy.cuda.runtime.memGetInfo()[0]
    for _ in range(50):
        run()
    assert cupy.cuda.runtime.memGetInfo()[0] == free_before
    engine.close()


def test_a_full_gpu_is_one_error_whoever_notices(cupy: Any) -> None:
    """CuPy's pool at its limit, then ONNX Runtime's arena at its own."""
    cupy.get_default_memory_pool().set_limit(size=64 * MIB)
    engine = CudaOnnxRuntimeEngine(yunet.load())
    with pytest.raises(DeviceOutOfMemoryError):
        engine.run(frames(32))
    cupy.get_default_memory_pool().set_limit(size=0)
    assert len(engine.run(frames(1))) == 12
    engine.close()
    small = CudaOnnxRuntimeEngine(yunet.load(), memory_bytes=64 * MIB)
    with pytest.raises(DeviceOutOfMemoryError):
        small.run(frames(32, 736, 1280))
    assert len(small.run(frames(1, 64, 64))) == 12
    small.close()


def test_the_manager_reads_this_gpu_and_sees_other_programs(cupy: Any) -> None:
    manager = open_manager(DeviceSettings(vram_guard=0.5))
    free, total = cupy.cuda.runtime.memGetInfo()
    assert manager.fill() == pytest.approx(1 - free / total, abs=0.05)
    before = manager.available_bytes()
    hog = textwrap.dedent("""
        import sys, cupy
        held = cupy.zeros(4 << 30, "u1"); cupy.cuda.Device().synchronize()
        print("held", flush=True); sys.stdin.read()
    """)
    with subprocess.Popen([sys.executable, "-c", hog], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert before - manager.available_bytes() >= 4 << 30
        assert other.stdin is not None
        other.stdin.close()
    with pytest.raises(DeviceOutOfMemoryError, match="50%"):
        manager.reserve(int(0.6 * total))
    manager.reserve(1 << 30).close()


def test_this_gpu_gets_an_engine_that_runs_and_a_note_where_it_is_not_tensorrt(cupy: Any, tmp_path: Path) -> None:
    device = EngineDevice(0, f"sm{cupy.cuda.Device(0).compute_capability}", 0)
    chosen = open_engine("detector", yunet.load(), device, DeviceSettings(), EngineCache(tmp_path))
    assert len(chosen.engine.run(frames(2))) == 12
    assert bool(chosen.notes) == (chosen.engine.name == "onnxruntime-cuda")
    chosen.engine.close()
