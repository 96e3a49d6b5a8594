"""Admission of jobs by GPU memory: what a stream needs, what others hold, and the guard over all."""

from __future__ import annotations

import functools
import importlib
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import structlog

from engines.cuda.cross_process import VramLedger, shared_directory
from engines.errors import DeviceUnavailableError, NoSuchGPUError, VramGuardError
from engines.frames import VideoInfo
from engines.nvml import ReadVram, VramReading, vram_reader
from engines.settings import DeviceSettings

MIB = 2**20
# Context, the kernels of all libraries and their workspaces, once per process; a decoder's own state beside surfaces.
CONTEXT_BYTES = 1800 * MIB
DECODER_BYTES = 128 * MIB
_SURFACES = 20  # the parser's most for H.264 and HEVC, and what travels to the next stage
_STAGES_BATCHES = 8  # batches between and inside the stages that follow the decoder
_BATCH_FRAMES = 8
_COMPOSED_BYTES = 1920 * 1080 * 3 // 2
_RING_S, _RING_BYTES = 1.5, 384 * MIB  # the look-ahead's defaults
_ADMISSION_WAIT_S = 30.0
_WAIT_STEP_S = 1.0  # other processes free memory without notice


log = structlog.get_logger(__name__)


def stream_bytes(video: VideoInfo, *, ring_s: float, ring_bytes: int, max_surface_pixels: int) -> int:
    """Return an upper estimate of the GPU memory that one stream needs, in bytes.

    It holds decoder surfaces of the coded frame, the look-ahead's frames (as many seconds as fit into ``ring_bytes``),
    batches between the stages, and composed frames that wait for the encoder.

    Args:
        ring_s: length of the look-ahead.
        ring_bytes: most that its frames may take.
        max_surface_pixels: larger frames are scaled down when they leave the decoder.
    """
    sample_bytes = 2 if video.bit_depth > 8 else 1
    surface = _aligned(video.coded_width) * _aligned(video.coded_height) * 3 // 2 * sample_bytes
    frame = min(video.width * video.height, max_surface_pixels) * 3 // 2
    ring = min(ring_bytes, int(ring_s * float(video.fps) * frame))
    travelling = _STAGES_BATCHES * _BATCH_FRAMES * (frame + _COMPOSED_BYTES)
    return DECODER_BYTES + _SURFACES * surface + ring + travelling


def _aligned(pixels: int) -> int:
    return -(-pixels // 64) * 64


class Reservation:
    """GPU memory that a job may fill; ``close`` gives it back, once."""

    def __init__(self, need_bytes: int, release: Callable[[int], None]) -> None:
        self.need_bytes = need_bytes
        self._release: Callable[[int], None] | None = release

    def close(self) -> None:
        release, self._release = self._release, None
        if release is not None:
            release(self.need_bytes)


class VramManager:
    """Admits jobs as long as the GPU stays under the guard.

    Free for this process is guard times total, less what others hold, less the larger of what it has promised and what
    it really holds: an estimate that proves too low counts against the next job. Every job has a process of its own, so
    what other processes have promised but do not hold yet is subtracted as well.

    Args:
        read: reads the GPU.
        guard: share of the GPU that all processes together may fill.
        fixed_bytes: what this process needs besides its streams.
        clock: monotonic seconds.
        ledger: the promises of all processes; None if only this process counts.
    """

    def __init__(
        self,
        read: ReadVram,
        *,
        guard: float = 0.70,
        fixed_bytes: int = CONTEXT_BYTES,
        clock: Callable[[], float] = time.monotonic,
        ledger: VramLedger | None = None,
    ) -> None:
        self._read = read
        self._ledger = ledger
        self._guard = guard
        self._fixed_bytes = fixed_bytes
        self._clock = clock
        self._changed = threading.Condition()
        self._promised_bytes = 0
        with self._deciding():  # needed if the driver hides whose memory it is
            self._others_before = max(0, read().used_bytes - sum(self._others_promises().values()))

    @property
    def pool_limit_bytes(self) -> int:
        """What CuPy's pool may hold: less than the guard, as decoders and models take their memory elsewhere."""
        return max(0, int(self._guard * self._read().total_bytes) - self._fixed_bytes)

    def available_bytes(self) -> int:
        """Return what one more stream may need; negative over the guard."""
        with self._deciding():
            return self._available_bytes()

    def _available_bytes(self) -> int:
        reading, promises = self._read(), self._others_promises()
        promised = self._fixed_bytes + self._promised_bytes
        if reading.own_bytes is None:
            others = min(self._others_before, reading.used_bytes)
            own = max(promised + sum(promises.values()), reading.used_bytes - others)
        else:
            to_come = sum(max(0, need - reading.by_process.get(pid, 0)) for pid, need in promises.items())
            others, own = reading.used_bytes - reading.own_bytes + to_come, max(promised, reading.own_bytes)
        return int(self._guard * reading.total_bytes) - others - own

    def _deciding(self) -> AbstractContextManager[None]:
        return nullcontext() if self._ledger is None else self._ledger.deciding()

    def _others_promises(self) -> dict[int, int]:
        return {} if self._ledger is None else self._ledger.others()

    def fill(self) -> float:
        """Return the share of the GPU that all processes together use."""
        reading = self._read()
        return reading.used_bytes / reading.total_bytes

    def pressure_reason(self) -> str | None:
        """Return what is wrong in words while the GPU is fuller than the guard allows, else None."""
        fill = self.fill()
        if fill <= self._guard:
            return None
        return f"{fill:.0%} of the GPU's memory are in use, over the guard of {self._guard:.0%}"

    def reserve(self, need_bytes: int, *, wait_s: float = 0.0) -> Reservation:
        """Promise memory to a stream; if it does not fit, wait for others to end.

        Raises:
            VramGuardError: it did not fit in time.
        """
        deadline = self._clock() + wait_s
        with self._changed:
            while (available := self._promise(need_bytes)) is not None:
                remaining = deadline - self._clock()
                if remaining <= 0:
                    raise VramGuardError(self._refusal(need_bytes, available))
                self._changed.wait(min(_WAIT_STEP_S, remaining))
        return Reservation(need_bytes, self._release)

    def _promise(self, need_bytes: int) -> int | None:
        """Promise the memory and return None, or return how much there is if that is too little."""
        with self._deciding():
            available = self._available_bytes()
            if available < need_bytes:
                return available
            self._promised_bytes += need_bytes
            self._record_promises()
        return None

    def _release(self, need_bytes: int) -> None:
        with self._changed:
            self._promised_bytes -= need_bytes
            self._record_promises()
            self._changed.notify_all()

    def _record_promises(self) -> None:
        if self._ledger is not None:
            self._ledger.promise(self._fixed_bytes + self._promised_bytes)

    def _refusal(self, need_bytes: int, available: int) -> str:
        return (
            f"The stream needs about {need_bytes // MIB} MiB of the GPU's memory, and {max(0, available) // MIB} MiB "
            f"are left below the guard of {self._guard:.0%}"
        )


@functools.cache
def open_manager(settings: DeviceSettings) -> VramManager:
    """Return the process's only manager of a GPU. It also limits CuPy's pool.

    Raises:
        NoSuchGPUError: there is no such GPU.
    """
    cupy = importlib.import_module("cupy")
    try:
        bus_id = cupy.cuda.runtime.deviceGetPCIBusId(settings.gpu)
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise NoSuchGPUError(f"There is no CUDA device {settings.gpu}: {error}") from error
    try:
        read = vram_reader(bus_id)
    except DeviceUnavailableError as error:
        log.info("memory is read without NVML", reason=error.message)
        read = functools.partial(_runtime_reading, cupy, settings.gpu)
    manager = VramManager(read, guard=settings.vram_guard, ledger=_ledger(bus_id))
    with cupy.cuda.Device(settings.gpu):
        cupy.get_default_memory_pool().set_limit(size=manager.pool_limit_bytes)
    return manager


def _ledger(pci_bus_id: str) -> VramLedger | None:
    try:
        return VramLedger(shared_directory() / pci_bus_id)
    except OSError as error:
        log.warning("jobs of other processes are not seen before they hold memory", reason=str(error))
        return None


def _runtime_reading(cupy: Any, index: int) -> VramReading:
    """Return CUDA's own reading, which lacks whose memory it is."""
    with cupy.cuda.Device(index):
        free, total = cupy.cuda.runtime.memGetInfo()
    return VramReading(int(total), int(total - free))


def admit(video: VideoInfo, settings: DeviceSettings, *, max_surface_pixels: int) -> Reservation:
    """Wait until the GPU has room for a stream.

    Raises:
        VramGuardError: it had none in time.
        NoSuchGPUError: there is no such GPU.
    """
    need_bytes = stream_bytes(video, ring_s=_RING_S, ring_bytes=_RING_BYTES, max_surface_pixels=max_surface_pixels)
    return open_manager(settings).reserve(need_bytes, wait_s=_ADMISSION_WAIT_S)


def release_pools() -> None:
    """Free the blocks that CuPy holds for reuse: the GPU's, and the host's pinned ones."""
    cupy = importlib.import_module("cupy")
    if not cupy.cuda.is_available():
        return
    cupy.get_default_memory_pool().free_all_blocks()
    cupy.get_default_pinned_memory_pool().free_all_blocks()
