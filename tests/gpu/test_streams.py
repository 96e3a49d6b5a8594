"""The streams of a job on a real GPU: nothing is overwritten before its readers are done."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from tests.support.gpu_presence import needs_gpu

pytestmark = [pytest.mark.gpu, needs_gpu]

_SPIN = 'extern "C" __global__ void spin(long long clocks) { long long t = clock64(); while (clock64() - t < clocks); }'
_CLOCKS = 400_000_000  # a fifth of a second
_BYTES = 3 << 20


def test_memory_is_not_overwritten_while_its_readers_still_wait() -> None:
    cupy = pytest.importorskip("cupy")
    from engines.cuda.stream import JobStream  # noqa: PLC0415  needs CuPy

    readers, writer = JobStream(0), JobStream(0)
    writer.readers = readers
    spin = cupy.RawKernel(_SPIN, "spin")
    memory = writer.zeros((_BYTES,))
    address = writer.address(memory)
    readers.follow(writer)
    with readers.current():
        read = cupy.empty_like(memory)
        spin((1,), (1,), (np.int64(_CLOCKS),))
        cupy.copyto(read, memory)
    del memory
    gc.collect()
    again = writer.empty((_BYTES,))
    assert writer.address(again) == address
    with writer.current():
        again.fill(7)
    writer.synchronize()
    assert not writer.to_host(read).any()
    assert writer.to_host(again).all()
