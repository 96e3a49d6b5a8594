"""Translate the exceptions of CUDA's libraries when a GPU fails; only this module reads their messages.

No library is imported: an error is recognised by its class's name, its status number or its message.

* CuPy: ``OutOfMemoryError`` (a MemoryError), ``CUDARuntimeError`` and ``CUDADriverError`` with ``status``.
* ONNX Runtime: "Failed to allocate memory for requested buffer of size N" and "Available memory of N is smaller than
  requested bytes of M" from its arena; "CUDA failure N: ..." from the runtime; "..._STATUS_ALLOC_FAILED" from cuBLAS
  and cuDNN.
* PyNvVideoCodec: "... returned error N" with a CUresult behind the decoder's calls (``cuvid...``), the name of a
  CUresult behind those of the driver (``cu...``), and an NVENCSTATUS behind the encoder's (``nvEnc...``).
* FFmpeg and TensorRT: "CUDA_ERROR_OUT_OF_MEMORY" and "out of memory" in what they log.
"""

from __future__ import annotations

import re

from engines.errors import DeviceLostError, DeviceOutOfMemoryError, EngineError

_OUT_OF_MEMORY = 2  # cudaErrorMemoryAllocation and CUDA_ERROR_OUT_OF_MEMORY

# After these the context answers every call with the same error (cudaError_t in driver_types.h): uncorrectable ECC,
# illegal address, launch timeout, hardware stack, illegal instruction, misaligned, address space, pc, launch failure.
_POISONING = frozenset({214, 700, 702, 714, 715, 716, 717, 718, 719})
_POISONING_WORDS = re.compile(
    r"ILLEGAL_?ADDRESS|illegal memory access|MISALIGNED_?ADDRESS|ILLEGAL_?INSTRUCTION|HARDWARE_?STACK_?ERROR|"
    r"INVALID_?ADDRESS_?SPACE|INVALID_?PC\b|LAUNCH_?FAILURE|LAUNCH_?FAILED|LAUNCH_?TIMEOUT|ECC_?UNCORRECTABLE|"
    r"unspecified launch failure|uncorrectable ECC",
    re.IGNORECASE,
)
_MEMORY_WORDS = re.compile(
    r"OUT_OF_MEMORY|out of memory|MemoryAllocation|STATUS_ALLOC_FAILED|Failed to allocate memory|"
    r"smaller than requested bytes",
    re.IGNORECASE,
)
_STATUS = re.compile(r"CUDA failure (\d+)|cuvid.*returned error (\d+)")


def translate(error: BaseException, doing: str) -> EngineError | None:
    """Return our error for a library's, or None if the library's is about neither memory nor a lost context.

    Args:
        error: what was raised.
        doing: what was being done, for the message: "allocating the look-ahead".
    """
    text = str(error)
    status = _status(error, text)
    if status in _POISONING or _POISONING_WORDS.search(text):
        return DeviceLostError(f"The GPU's context broke while {doing}: {cause_line(error)}")
    if status == _OUT_OF_MEMORY or _is_cupy_memory(error) or _MEMORY_WORDS.search(text):
        return DeviceOutOfMemoryError(f"The GPU ran out of memory while {doing}: {cause_line(error)}")
    return None


class device_errors:  # noqa: N801  # used like a function; a generator would cost several times as much per frame
    """Raise errors of the libraries in this block as ours if ``translate`` knows them, else unchanged.

    Args:
        doing: what the block does, for the message: "allocating the look-ahead".
    """

    __slots__ = ("_doing",)

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, *_: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, EngineError):
            ours = translate(error, self._doing)
            if ours is not None:
                raise ours from error


def nvenc_status(error: BaseException) -> int | None:
    """Return the NVENCSTATUS (nvEncodeAPI.h) in PyNvVideoCodec's exception, or None if it names none."""
    found = re.search(r"nvEnc\w+\(.*returned error (\d+)", str(error))
    return int(found[1]) if found else None


def _status(error: BaseException, text: str) -> int | None:
    status = getattr(error, "status", None)
    if isinstance(status, int) and type(error).__module__.partition(".")[0] in {"cupy", "cupy_backends"}:
        return status
    found = _STATUS.search(text)
    return int(found[1] or found[2]) if found else None


def _is_cupy_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) and type(error).__module__.partition(".")[0] == "cupy"


def cause_line(error: BaseException) -> str:
    """Return the line of a message that says what failed: PyNvVideoCodec adds the position in its sources."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    cause = next((line for line in lines if "returned error" in line), lines[0] if lines else "")
    return cause.removeprefix("Error Type : ") or type(error).__name__
