"""Runs the CUDA kernels on the CPU: the sources compiled as C++, thread blocks as fibres that meet at barriers.

Slow, but it is the same source and the same Python around it, so whoever has a C++ compiler and no GPU sees most
mistakes. It takes the place of ``engines.cuda.stream.JobStream``, with NumPy arrays as device memory.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from engines.cuda.kernels import source

COMPILER = shutil.which("g++") or shutil.which("clang++")

_PRELUDE = r"""
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <setjmp.h>
#include <ucontext.h>
#include <vector>
#define __device__
#define __global__
#define __shared__ static
#define __forceinline__ inline
#define __launch_bounds__(threads)
using std::min; using std::max;
struct Dim { int x, y, z; };
static Dim threadIdx, blockIdx, blockDim;
struct Fibre {
    ucontext_t birth;
    jmp_buf at;
    bool started = false, ended = false;
    char stack[65536];
};
static Fibre* running;
static jmp_buf scheduler;
static const std::function<void()>* body;
static void __syncthreads() { if (!_setjmp(running->at)) _longjmp(scheduler, 1); }
static int __float2int_rn(float value) { return (int)lrintf(value); }
static float sinpif(float x) { return x == rintf(x) ? 0.0f : (float)sin(3.14159265358979323846 * x); }
static int atomicAdd(int* at, int value) { int before = *at; *at += value; return before; }
static float exchanged[1024];
static float __shfl_down_sync(unsigned, float value, int step) {
    int self = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    exchanged[self] = value;
    __syncthreads();
    float other = threadIdx.x + step < 32 ? exchanged[self + step] : value;
    __syncthreads();
    return other;
}
"""

_SCHEDULER = r"""
static void live() {
    for (;;) {
        (*body)();
        running->ended = true;
        __syncthreads();
    }
}
static void resume(Fibre& fibre) {
    running = &fibre;
    if (_setjmp(scheduler)) return;
    if (fibre.started) _longjmp(fibre.at, 1);
    fibre.started = true;
    getcontext(&fibre.birth);
    fibre.birth.uc_stack.ss_sp = fibre.stack;
    fibre.birth.uc_stack.ss_size = sizeof fibre.stack;
    makecontext(&fibre.birth, live, 0);
    setcontext(&fibre.birth);
}
static void run(const int* shape, const std::function<void()>& kernel) {
    static std::vector<Fibre> fibres(1024);
    body = &kernel;
    blockDim = {shape[3], shape[4], shape[5]};
    int threads = blockDim.x * blockDim.y * blockDim.z;
    for (int bz = 0; bz < shape[2]; bz++) for (int by = 0; by < shape[1]; by++) for (int bx = 0; bx < shape[0]; bx++) {
        blockIdx = {bx, by, bz};
        for (int t = 0; t < threads; t++) fibres[t].ended = false;
        for (bool alive = true; alive;) {
            alive = false;
            for (int t = 0; t < threads; t++) {
                if (fibres[t].ended) continue;
                threadIdx = {t % shape[3], t / shape[3] % shape[4], t / (shape[3] * shape[4])};
                resume(fibres[t]);
                alive |= !fibres[t].ended;
            }
        }
    }
}
"""


@functools.cache
def _library() -> ctypes.CDLL:
    return compile_and_load(_SCHEDULER + "".join(_entry(*kernel) for kernel in signatures().items()))


def compile_and_load(more: str) -> ctypes.CDLL:
    """The kernels' sources as C++, with more behind them."""
    text = _PRELUDE + source() + more
    folder = Path(tempfile.gettempdir()) / "dualface-emulated-kernels"
    folder.mkdir(exist_ok=True)
    library = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.so"
    if not library.exists():
        code, part = library.with_suffix(".cpp"), library.with_suffix(".part")
        code.write_text(text)
        flags = ["-std=c++17", "-O2", "-fPIC", "-shared", "-Wno-attributes"]
        subprocess.run([COMPILER, *flags, "-o", part, code], check=True)
        part.replace(library)
    return ctypes.CDLL(str(library))


def signatures() -> dict[str, list[str]]:
    """Types of the arguments of every kernel."""
    found = re.findall(r'extern "C" __global__ void (?:__launch_bounds__\([^)]*\)\s*)?(\w+)\(([^)]*)\)', source())
    return {name: [argument.strip().rsplit(" ", 1)[0] for argument in text.split(",")] for name, text in found}


def _entry(name: str, types: list[str]) -> str:
    passed = ", ".join(f"*({kind}*)arguments[{n}]" for n, kind in enumerate(types))
    return (
        f'extern "C" void emulate_{name}(const int* shape, void** arguments) {{\n'
        f"    run(shape, [&] {{ {name}({passed}); }});\n}}\n"
    )


class EmulatedStream:
    """What a ``JobStream`` does, on the CPU and at once."""

    def __init__(self) -> None:
        self.bytes_to_host = 0
        self.device = "emulated"

    def empty(self, shape: tuple[int, ...], dtype: Any = np.uint8) -> np.ndarray:
        return np.full(shape, 171, dtype) if np.dtype(dtype) == np.uint8 else np.empty(shape, dtype)

    def zeros(self, shape: tuple[int, ...], dtype: Any = np.uint8) -> np.ndarray:
        return np.zeros(shape, dtype)

    def address(self, array: np.ndarray) -> int:
        return array.ctypes.data

    def upload(self, array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(array).copy()

    def copy(self, target: np.ndarray, source: int, size: int) -> None:
        ctypes.memmove(target.ctypes.data, source, size)

    def to_host(self, array: np.ndarray) -> np.ndarray:
        self.bytes_to_host += array.nbytes
        return array.copy()

    def begin_to_host(self, array: np.ndarray) -> Callable[[], np.ndarray]:
        return lambda: self.to_host(array)

    def launch(self, kernel: str, grid: tuple[int, ...], block: tuple[int, ...], *arguments: Any) -> None:
        values = [self._value(a) for a in arguments]
        pointers = (ctypes.c_void_p * len(values))(*[ctypes.addressof(v) for v in values])
        shape = (ctypes.c_int * 6)(*[*grid, 1, 1][:3], *[*block, 1, 1][:3])
        getattr(_library(), f"emulate_{kernel}")(shape, pointers)

    def _value(self, argument: Any) -> Any:
        """A buffer that holds what the kernel gets for an argument."""
        if isinstance(argument, np.ndarray) and argument.dtype.names:
            return ctypes.create_string_buffer(argument.tobytes())
        if isinstance(argument, np.ndarray):
            return ctypes.c_void_p(argument.ctypes.data)
        return ctypes.create_string_buffer(argument.tobytes())
