"""The CUDA sources compile with NVRTC, which needs no GPU, and their structures are what Python takes them for."""

import re

import numpy as np
import pytest

from engines.cuda import kernels
from tests.support.cuda_on_host import needs_compiler
from tests.support.kernel_emulation import compile_and_load, signatures

nvrtc = pytest.importorskip("cuda.bindings.nvrtc", reason="cuda-bindings and nvidia-cuda-nvrtc are not installed")

GENERATIONS = ["sm_80", "sm_86", "sm_89", "sm_90", "sm_120"]  # Ampere, Ada, Hopper, Blackwell
STRUCTURES = {
    "Frame": kernels.FRAME, "Frames": kernels.FRAMES, "Surface": kernels.SURFACE, "Chip": kernels.CHIP,
    "Chips": kernels.CHIPS, "Outputs": kernels.OUTPUTS, "Tile": kernels.TILE, "Tiles": kernels.TILES,
    "Extension": kernels.EXTENSION,
}  # fmt: skip
MOST_ARGUMENT_BYTES = 4096  # of one launch, on every GPU and driver


def checked(answer):
    status, *values = answer
    assert int(status) == 0, status
    return values[0] if values else None


@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_kernels_compile(generation):
    program = checked(nvrtc.nvrtcCreateProgram(kernels.source().encode(), b"kernels.cu", 0, [], []))
    options = [f"--gpu-architecture={generation}".encode(), *(option.encode() for option in kernels.OPTIONS)]
    (status,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    log = bytearray(checked(nvrtc.nvrtcGetProgramLogSize(program)))
    checked(nvrtc.nvrtcGetProgramLog(program, log))
    assert int(status) == 0, log.decode()
    assert "warning" not in log.decode()
    assert checked(nvrtc.nvrtcGetCUBINSize(program)) > 10_000


def test_every_kernel_is_known_by_name():
    assert set(kernels.KERNELS) == set(signatures())


def test_limits_are_those_of_the_sources():
    constants = dict(re.findall(r"const int (MOST_\w+) = (\d+)", kernels.source()))
    for name in ("MOST_FRAMES", "MOST_CHIPS", "MOST_TILES"):
        assert int(constants[name]) == getattr(kernels, name)


def test_arguments_fit_into_a_launch():
    for name, types in signatures().items():
        size = sum(STRUCTURES[kind].itemsize if kind in STRUCTURES else 8 for kind in types)
        assert size <= MOST_ARGUMENT_BYTES, name


@needs_compiler
def test_structures_are_laid_out_as_in_the_sources():
    lines = []
    for name, dtype in STRUCTURES.items():
        for field in dtype.names:
            lines.append(f"static_assert(offsetof({name}, {field}) == {dtype.fields[field][1]});")
        lines.append(f"static_assert(sizeof({name}) == {dtype.itemsize});")
    compile_and_load("\n".join(lines))


@needs_compiler
def test_the_dither_has_every_threshold_once():
    library = compile_and_load('extern "C" float threshold(int x, int y) { return bayer(x, y); }')
    library.threshold.restype = np.ctypeslib.ctypes.c_float
    found = sorted(library.threshold(x, y) for x in range(8) for y in range(8))
    np.testing.assert_allclose(found, (np.arange(64) + 0.5) / 64, atol=1e-6)
    half = [library.threshold(x, y) < 0.5 for x in range(8) for y in range(8)]
    assert half == [(x + y) % 2 == half[0] ^ 1 for x in range(8) for y in range(8)]
