"""The choice of a device, and the parts of its backend."""

from __future__ import annotations

import ctypes
import gc
import importlib
import importlib.util
import sys
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import cv2
import structlog

from engines.compute_class import ComputeClass, host_class
from engines.cpu.compose import CpuCompositor
from engines.cpu.decode import PyAvDecoder
from engines.cpu.encode import X264Encoder
from engines.cpu.encode_hevc import X265Encoder
from engines.cpu.preprocess import CpuPreprocessor
from engines.errors import Component, DeviceUnavailableError
from engines.frames import ColorTags, MediaInfo
from engines.inference.ort_cache import open_prepared
from engines.models import face_embedding, yunet
from engines.nvenc_sessions import SessionProbe
from engines.protocols import Compositor, Decoder, Encoder, InferenceEngine, Preprocessor
from engines.settings import DeviceSettings, EncoderSettings
from engines.tone_map import tone_source
from engines.video.sdr_preview import sdr_preview


class Backend(Protocol):
    """All parts of one device for one job.

    Attributes:
        device: for the report, e.g. "cpu".
        notes: why something better is not in use, one sentence each; for the report and the journal.
        batch_frames: the best size of a batch of full-HD frames.
        looks_ahead: the models run beside the host's own work, so a stage of its own detects faces ahead of the rest.
        keeps_hdr: whether all parts can work with P010.
        bytes_to_host: bytes copied from the device's memory to the host so far, without composed frames.
        undecodable: why the GPU does not decode the recording, "" if it does or there is no GPU.
        compute_class: of the work on it, before engines are open.
    """

    device: str
    batch_frames: int
    looks_ahead: bool
    keeps_hdr: bool
    undecodable: str

    @property
    def notes(self) -> tuple[str, ...]: ...

    @property
    def bytes_to_host(self) -> int: ...

    @property
    def compute_class(self) -> ComputeClass: ...

    def pressure_reason(self) -> str | None:
        """Return why the device is overloaded, None if it is not."""
        ...

    def free_bytes(self) -> int | None:
        """Return the GPU memory that one more stream may take below the guard; None without a GPU."""
        ...

    def decoder(
        self, path: Path, info: MediaInfo, *, max_surface_pixels: int, threads: int = 0, keep_hdr: bool = False
    ) -> Decoder:
        """Open a decoder; ``keep_hdr`` is allowed only if ``keeps_hdr`` is true."""
        ...

    def detector(self, *, threads: int = 1) -> InferenceEngine:
        """Open YuNet; ``engines.models.yunet.decode`` reads its outputs."""
        ...

    def embedder(self, *, threads: int = 1) -> InferenceEngine:
        """Open the face embedding: chips (N, 3, 150, 150) RGB 0..255 in, one output (N, 128), always in host memory."""
        ...

    def preprocessor(self, info: MediaInfo, *, keep_hdr: bool = False) -> Preprocessor: ...

    def compositor(self, width: int = 1920, height: int = 1080) -> Compositor: ...

    def encoder(
        self,
        width: int,
        height: int,
        *,
        time_base: Fraction,
        fps: Fraction,
        color: ColorTags,
        settings: EncoderSettings,
    ) -> Encoder:
        """Open an encoder for frames of these colours: HDR and BT.2020 are P010, all others NV12."""
        ...

    def close(self) -> None:
        """Free the device's memory; close the parts before."""
        ...


class CpuBackend:
    """PyAV, ONNX Runtime, OpenCV and x264."""

    device = "cpu"
    batch_frames = 4  # small enough for a core's caches
    looks_ahead = False
    bytes_to_host = 0
    keeps_hdr = True
    undecodable = ""

    def __init__(self, notes: tuple[str, ...] = (), cache_dir: Path | None = None) -> None:
        self.notes = notes
        self._cache_dir = cache_dir
        # The stages already run in parallel; OpenCV's own threads would take cores from them.
        cv2.setNumThreads(1)

    @property
    def compute_class(self) -> ComputeClass:
        return host_class()

    def pressure_reason(self) -> str | None:
        return None

    def free_bytes(self) -> None:
        return None

    def decoder(
        self, path: Path, info: MediaInfo, *, max_surface_pixels: int, threads: int = 0, keep_hdr: bool = False
    ) -> Decoder:
        return PyAvDecoder(path, info, max_surface_pixels=max_surface_pixels, threads=threads, keep_hdr=keep_hdr)

    def detector(self, *, threads: int = 1) -> InferenceEngine:
        return open_prepared(yunet.NAME, yunet.load, cache_dir=self._cache_dir, threads=threads)

    def embedder(self, *, threads: int = 1) -> InferenceEngine:
        return open_prepared(
            face_embedding.NAME,
            lambda: face_embedding.load(self._cache_dir),
            cache_dir=self._cache_dir,
            threads=threads,
        )

    def preprocessor(self, info: MediaInfo, *, keep_hdr: bool = False) -> Preprocessor:
        preview = sdr_preview(info.video) if keep_hdr else None
        return CpuPreprocessor(info.video.width / info.video.height, preview)

    def compositor(self, width: int = 1920, height: int = 1080) -> Compositor:
        return CpuCompositor(width, height)

    def encoder(
        self,
        width: int,
        height: int,
        *,
        time_base: Fraction,
        fps: Fraction,
        color: ColorTags,
        settings: EncoderSettings,
    ) -> Encoder:
        if settings.encoder == "nvenc":
            raise DeviceUnavailableError("encoder: nvenc is set, but the work runs on the CPU")
        kind = X264Encoder if tone_source(color) is None else X265Encoder
        return kind(
            width, height, time_base=time_base, fps=fps, color=color, settings=settings, threads=settings.threads
        )

    def close(self) -> None:
        """Do nothing: all memory belongs to the parts."""


def open_backend(
    device: DeviceSettings, cache_dir: Path | None = None, *, nvenc: SessionProbe | None = None
) -> Backend:
    """Open the backend that the settings name; "auto" takes the CPU if CUDA does not work, and notes why.

    Args:
        cache_dir: for converted models; None is the user's own cache.
        nvenc: the GPU's encoder sessions, if they are counted already.

    Raises:
        DeviceUnavailableError: CUDA is required and does not work.
    """
    if device.backend == "cpu":
        return CpuBackend(cache_dir=cache_dir)
    try:
        return _open_cuda(device, cache_dir, nvenc)
    except DeviceUnavailableError as obstacle:
        if device.backend == "cuda":
            message = f"CUDA is set as the device, but {obstacle.message}"
            raise DeviceUnavailableError(message, remedy=obstacle.remedy, component=obstacle.component) from obstacle
        structlog.get_logger().info("device chosen", device="cpu", reason=obstacle.message)
        return CpuBackend((f"CUDA is not used: {obstacle.message}",), cache_dir)


def release_memory() -> None:
    """Free memory of the devices that nothing uses any more."""
    gc.collect()  # an error's traceback is a cycle, and holds frames
    if "cupy" in sys.modules:
        importlib.import_module("engines.cuda.memory").release_pools()


def _open_cuda(device: DeviceSettings, cache_dir: Path | None, nvenc: SessionProbe | None) -> Backend:
    """Open the CUDA backend, which is imported only here: everything else works without its packages."""
    if importlib.util.find_spec("cupy") is None:
        raise DeviceUnavailableError("the package cupy is not installed", component=Component.LIBRARIES)
    if not _has_driver():
        raise DeviceUnavailableError(
            "there is no NVIDIA driver: libcuda.so.1 cannot be loaded", component=Component.DRIVER
        )
    backend: Backend = importlib.import_module("engines.cuda.backend").open_cuda(device, cache_dir, nvenc)
    return backend


def _has_driver() -> bool:
    """Return whether there can be a GPU; this is much faster than importing CuPy."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True
