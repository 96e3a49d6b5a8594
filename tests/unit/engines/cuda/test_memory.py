"""Admission by GPU memory, and the translation of every library's out-of-memory error."""

from __future__ import annotations

import errno
import threading
from fractions import Fraction

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.cuda.decoding.hwaccel import refused
from engines.cuda.decoding.nvdec import GPURefusedError
from engines.cuda.memory import MIB, VramManager, stream_bytes
from engines.device_errors import device_errors, nvenc_status, translate
from engines.errors import DecodeFailedError, DeviceLostError, DeviceOutOfMemoryError
from engines.frames import ColorTags, VideoInfo
from engines.nvml import VramReading

GIB = 1024 * MIB


class GPU:
    """A GPU whose readings the test sets."""

    def __init__(self, total: int = 10 * GIB, used: int = 0, own: int | None = 0) -> None:
        self.total, self.used, self.own = total, used, own

    def __call__(self) -> VramReading:
        return VramReading(self.total, self.used, self.own)


def manager(gpu: GPU, guard: float = 0.7) -> VramManager:
    return VramManager(gpu, guard=guard, fixed_bytes=GIB)


def test_streams_are_admitted_up_to_the_guard() -> None:
    gpu = GPU()
    vram = manager(gpu)
    assert vram.available_bytes() == 6 * GIB
    held = [vram.reserve(2 * GIB) for _ in range(3)]
    with pytest.raises(DeviceOutOfMemoryError, match=r"needs about 2048 MiB.* 0 MiB are left.*70%") as caught:
        vram.reserve(2 * GIB)
    assert (caught.value.code, caught.value.retryable, caught.value.environmental) == (
        "VRAM_GUARD", True, True,
    )  # fmt: skip
    held[0].close()
    held[0].close()
    assert vram.available_bytes() == 2 * GIB
    vram.reserve(2 * GIB)


def test_what_others_hold_is_not_ours_to_give() -> None:
    gpu = GPU(used=5 * GIB, own=GIB)
    vram = manager(gpu)
    assert vram.available_bytes() == 7 * GIB - 4 * GIB - GIB
    gpu.used = 9 * GIB
    assert vram.available_bytes() < 0
    assert "over the guard of 70%" in str(vram.pressure_reason())
    gpu.used = 2 * GIB
    assert vram.available_bytes() == 5 * GIB
    assert vram.pressure_reason() is None
    assert vram.fill() == pytest.approx(0.2)


def test_an_estimate_that_proves_too_low_counts_against_the_next_job() -> None:
    gpu = GPU()
    vram = manager(gpu)
    vram.reserve(GIB)
    gpu.used = gpu.own = 6 * GIB
    assert vram.available_bytes() == GIB


def test_where_the_driver_hides_owners_what_was_there_before_is_others() -> None:
    gpu = GPU(used=2 * GIB, own=None)
    vram = manager(gpu)
    assert vram.available_bytes() == 4 * GIB
    gpu.used = 5 * GIB  # ours, as far as the driver reports
    assert vram.available_bytes() == 2 * GIB
    gpu.used = GIB
    assert vram.available_bytes() == 5 * GIB


def test_a_stream_waits_for_another_to_end() -> None:
    vram = manager(GPU())
    held = vram.reserve(6 * GIB)
    threading.Timer(0.1, held.close).start()
    vram.reserve(3 * GIB, wait_s=20).close()


def test_a_stream_waits_for_another_program_to_end() -> None:
    gpu = GPU(used=8 * GIB)
    vram = manager(gpu)
    threading.Timer(0.1, lambda: setattr(gpu, "used", 0)).start()
    vram.reserve(3 * GIB, wait_s=20).close()


def test_waiting_ends_by_the_clock_that_is_given() -> None:
    times = iter([0.0, 5.0, 31.0])
    vram = VramManager(GPU(used=9 * GIB), clock=lambda: next(times))
    with pytest.raises(DeviceOutOfMemoryError):
        vram.reserve(GIB, wait_s=30)


@given(st.lists(st.integers(0, 3 * GIB), max_size=30), st.integers(0, 8 * GIB), st.floats(0.1, 0.95))
def test_promises_never_go_over_the_guard(needs: list[int], others: int, guard: float) -> None:
    vram = VramManager(GPU(used=others), guard=guard, fixed_bytes=GIB)
    promised = 0
    for need in needs:
        try:
            vram.reserve(need)
        except DeviceOutOfMemoryError:
            continue
        promised += need
    assert promised == 0 or others + GIB + promised <= guard * 10 * GIB


def test_cupys_pool_stays_under_the_guard_and_beside_the_context() -> None:
    assert manager(GPU()).pool_limit_bytes == 6 * GIB


def video(width: int, height: int, bit_depth: int = 8, fps: int = 30) -> VideoInfo:
    return VideoInfo(
        "h264", width, height, width, height, "yuv420p", bit_depth, Fraction(fps), False, None, 0, Fraction(1), False,
        Fraction(1, 90000), 0, None, ColorTags(),
    )  # fmt: skip


def test_a_streams_need_grows_with_its_frames() -> None:
    def need(**of: int) -> int:
        return stream_bytes(video(**of), ring_s=1.5, ring_bytes=384 * MIB, max_surface_pixels=3840 * 2160)

    hd, deep, uhd = (
        need(width=1920, height=1080),
        need(width=1920, height=1080, bit_depth=10),
        need(width=3840, height=2160),
    )
    assert 400 * MIB < hd < 1 * GIB
    assert hd < deep < uhd < 3 * GIB
    assert need(width=1920, height=1080, fps=240) <= hd + 384 * MIB


class OutOfMemoryError(MemoryError):
    pass


class CUDARuntimeError(RuntimeError):
    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


OutOfMemoryError.__module__ = "cupy.cuda.memory"
CUDARuntimeError.__module__ = "cupy_backends.cuda.api.runtime"


@pytest.mark.parametrize(
    "error",
    [
        OutOfMemoryError("Out of memory allocating 1,024 bytes (allocated so far: 0 bytes)."),
        CUDARuntimeError(2, "cudaErrorMemoryAllocation: out of memory"),
        RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Conv. "
                     "bfc_arena.cc:376 Failed to allocate memory for requested buffer of size 98304"),
        RuntimeError("Available memory of 1048576 is smaller than requested bytes of 2097152"),
        RuntimeError("CUDA failure 2: out of memory ; GPU=0 ; hostname=x ; file=cuda_allocator.cc"),
        RuntimeError("CUDNN failure 4: CUDNN_STATUS_ALLOC_FAILED ; GPU=0"),
        Exception("HandleVideoSequence : \nError code : 2\nError Type : m_api.cuvidCreateDecoder(&m_hDecoder, "
                  "&videoDecodeCreateInfo) returned error 2\nat /project/src/NvDecoder.cpp:523\n"),
        Exception("cuMemAllocPitch(&pFrame, &pitch, w, h, 16) returned error CUDA_ERROR_OUT_OF_MEMORY"),
        OSError(1, "cuvidCreateDecoder failed -> CUDA_ERROR_OUT_OF_MEMORY: out of memory"),
    ],
)  # fmt: skip
def test_every_librarys_lack_of_memory_is_one_error(error: Exception) -> None:
    found = translate(error, "testing")
    assert isinstance(found, DeviceOutOfMemoryError)
    assert "testing" in found.message
    assert "\n" not in found.message


@pytest.mark.parametrize(
    "error",
    [
        CUDARuntimeError(700, "cudaErrorIllegalAddress: an illegal memory access was encountered"),
        CUDARuntimeError(719, "cudaErrorLaunchFailure: unspecified launch failure"),
        RuntimeError("CUDA failure 716: misaligned address ; GPU=0"),
        Exception("cuStreamSynchronize(stream) returned error CUDA_ERROR_ILLEGAL_ADDRESS"),
        Exception("m_api.cuvidDecodePicture(m_hDecoder, pPicParams) returned error 700"),
    ],
)
def test_a_poisoned_context_is_told_apart(error: Exception) -> None:
    assert isinstance(translate(error, "testing"), DeviceLostError)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("shape mismatch"),
        MemoryError(),  # the host's
        CUDARuntimeError(1, "cudaErrorInvalidValue: invalid argument"),
        Exception("m_nvenc.nvEncOpenEncodeSessionEx(&params, &hEncoder) returned error 2"),
        Exception("cuvidParseVideoData(m_hParser, &packet) returned error 1"),
    ],
)
def test_what_says_neither_stays_as_it_is(error: Exception) -> None:
    assert translate(error, "testing") is None
    with pytest.raises(type(error)) as caught, device_errors("testing"):
        raise error
    assert caught.value is error


def test_our_own_errors_pass_through() -> None:
    with pytest.raises(DecodeFailedError), device_errors("testing"):
        raise DecodeFailedError("out of memory, says the file")


def test_the_cause_is_kept() -> None:
    cause = CUDARuntimeError(2, "cudaErrorMemoryAllocation: out of memory")
    with pytest.raises(DeviceOutOfMemoryError) as caught, device_errors("testing"):
        raise cause
    assert caught.value.__cause__ is cause


def test_only_encoder_calls_have_an_nvenc_status() -> None:
    assert nvenc_status(Exception("m_nvenc.nvEncOpenEncodeSessionEx(&a, &b) returned error 21")) == 21
    assert nvenc_status(Exception("m_api.cuvidCreateDecoder(&a, &b) returned error 2")) is None


@pytest.mark.parametrize(
    ("number", "free_bytes", "expected"),
    [
        (errno.EOPNOTSUPP, 2 * MIB, DeviceOutOfMemoryError),  # an H200 whose memory another program held
        (errno.ENOMEM, 2 * MIB, DeviceOutOfMemoryError),
        (errno.EOPNOTSUPP, 2**36, GPURefusedError),
        (errno.EINVAL, 2 * MIB, GPURefusedError),
    ],
)
def test_ffmpeg_does_not_say_that_the_gpu_is_full(number: int, free_bytes: int, expected: type[Exception]) -> None:
    assert type(refused(av.FFmpegError(number, "Operation not supported"), free_bytes)) is expected
