"""The backend of one GPU. The parts of a job share CUDA streams, so their work is in order without waiting."""

from __future__ import annotations

import functools
import gc
import importlib.util
import os
import tempfile
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import cupy
from av.video.stream import VideoStream

from engines.cache_dir import default_cache_dir
from engines.compute_class import host_class
from engines.cuda.compose import CudaCompositor
from engines.cuda.decoding.decoder import GPUCodec, GPUDecoder
from engines.cuda.decoding.hwaccel import HwaccelCodec
from engines.cuda.decoding.nvdec import NvdecCodec, capabilities, refusal, usual_capabilities
from engines.cuda.encoding.device_encoders import DeviceEncoders
from engines.cuda.gpu_selection import settings_number
from engines.cuda.memory import Reservation, admit, open_manager
from engines.cuda.preprocess import CudaPreprocessor
from engines.cuda.stream import JobStream
from engines.device_errors import device_errors
from engines.errors import DeviceUnavailableError, EngineError, NoSuchGPUError
from engines.frames import ColorTags, MediaInfo, VideoInfo
from engines.inference.cache import EngineCache
from engines.inference.select import EngineDevice, open_engine
from engines.models import face_embedding, yunet
from engines.nvenc_sessions import SessionProbe
from engines.protocols import Compositor, Decoder, Encoder, InferenceEngine, Preprocessor
from engines.settings import DeviceSettings, EncoderSettings

_spare_streams: dict[int, list[JobStream]] = {}
_spares = threading.Lock()


def open_cuda(
    settings: DeviceSettings,
    cache_dir: Path | None = None,
    nvenc: SessionProbe | None = None,
    *,
    has_nvdec: bool | None = None,
) -> CudaBackend:
    """Open the backend of the GPU that the settings name.

    Args:
        nvenc: its encoder sessions, if they are counted already.
        has_nvdec: whether PyNvVideoCodec is installed; None looks. Without it FFmpeg drives the GPU's decoder.

    Raises:
        DeviceUnavailableError: the GPU or its software does not work; the message says what.
    """
    _set_kernel_cache(cache_dir or default_cache_dir())
    try:
        gpus = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # CuPy's errors have no common base; some are ImportErrors of the driver
        gpu = settings_number(settings.gpu)
        raise DeviceUnavailableError(f"CUDA does not start for GPU {gpu}: {error}") from error
    if settings.gpu >= gpus:
        raise NoSuchGPUError(f"there is no CUDA device {settings.gpu}, only {gpus}")
    try:
        return CudaBackend(settings, cache_dir, nvenc, has_nvdec=_finds_nvdec() if has_nvdec is None else has_nvdec)
    except EngineError:
        raise
    except Exception as error:  # as above
        raise DeviceUnavailableError(f"the kernels do not run: {error}") from error


class CudaBackend:
    """One job's share of a GPU. Satisfies ``engines.registry.Backend``.

    Attributes:
        stream: on which all its parts but the decoder work.
    """

    keeps_hdr = False  # its kernels work with 8 bits
    looks_ahead = True
    batch_frames = 16  # each batch costs one or two waits, and the detector is faster with several frames

    def __init__(
        self, settings: DeviceSettings, cache_dir: Path | None, nvenc: SessionProbe | None, *, has_nvdec: bool
    ) -> None:
        self._settings = settings
        self._cache_dir = cache_dir
        self._notes: tuple[str, ...] = ()
        self._reservation: Reservation | None = None
        self._encoders = _encoders(settings, nvenc)
        self.undecodable = ""
        self.stream = _take_stream(settings.gpu)
        self._decode_stream = _take_stream(settings.gpu)
        self._decode_stream.readers = self.stream
        self._bytes_before = self.stream.bytes_to_host
        name, self._target = _describe(settings.gpu)
        self.device = f"cuda:{settings_number(settings.gpu)} ({name})"
        self.compute_class = host_class().on_gpu(name, self._target, str(cupy.cuda.runtime.driverGetVersion()))
        self._has_nvdec = has_nvdec
        if not self._has_nvdec:
            self._note("PyNvVideoCodec is not installed: FFmpeg drives the GPU's decoder")

    @property
    def notes(self) -> tuple[str, ...]:
        return (*self._notes, *self._encoders.notes)

    @property
    def bytes_to_host(self) -> int:
        return self.stream.bytes_to_host - self._bytes_before

    def pressure_reason(self) -> str | None:
        return open_manager(self._settings).pressure_reason()

    def free_bytes(self) -> int:
        return max(0, open_manager(self._settings).available_bytes())

    def decoder(
        self, path: Path, info: MediaInfo, *, max_surface_pixels: int, threads: int = 0, keep_hdr: bool = False
    ) -> Decoder:
        _reject_hdr(keep_hdr)
        if self._reservation is None:  # further decoders of a job only look up single frames
            self._reservation = admit(info.video, self._settings, max_surface_pixels=max_surface_pixels)
        return GPUDecoder(
            path,
            info,
            max_surface_pixels=max_surface_pixels,
            threads=threads,
            stream=self._decode_stream,
            on_batch=lambda: self.stream.follow(self._decode_stream),
            device=self.device,
            settings=self._settings,
            open_codec=self._open_codec,
            refusal=self._refusal(info.video),
            on_refusal=self._refused,
        )

    def detector(self, *, threads: int = 1) -> InferenceEngine:  # noqa: ARG002  the GPU has its own
        """Open YuNet on the job's stream; outputs stay on the GPU."""
        return self._engine("detector", yunet.load())

    def embedder(self, *, threads: int = 1) -> InferenceEngine:  # noqa: ARG002
        """Open the face embedding on the job's stream; outputs are brought to the host."""
        return _HostOutputs(self._engine("embedder", face_embedding.load(self._cache_dir)), self.stream)

    def preprocessor(self, info: MediaInfo, *, keep_hdr: bool = False) -> Preprocessor:
        _reject_hdr(keep_hdr)
        return CudaPreprocessor(self.stream, info.video.width / info.video.height)

    def compositor(self, width: int = 1920, height: int = 1080) -> Compositor:
        return CudaCompositor(self.stream, width, height)

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
        return self._encoders.create(
            width, height, time_base=time_base, fps=fps, color=color, settings=settings, stream=self.stream.handle
        )

    def close(self) -> None:
        """Free the job's memory, and keep its streams for the next backend of this process."""
        self._encoders.free_spare_slots()
        gc.collect()  # frames in reference cycles hold the GPU's memory until they are collected
        self._decode_stream.release()
        self.stream.release()
        self._decode_stream.readers = None
        if self._reservation is not None:
            self._reservation.close()
        with _spares:
            _spare_streams[self.stream.index] += [self.stream, self._decode_stream]

    def _refusal(self, video: VideoInfo) -> str | None:
        known = capabilities if self._has_nvdec else usual_capabilities
        return refusal(video, self._settings.gpu, known)

    def _refused(self, reason: str) -> None:
        self.undecodable = reason
        self._note(f"The GPU does not decode the recording: {reason}")

    def _open_codec(self, video: VideoInfo, source: VideoStream) -> GPUCodec:
        if self._has_nvdec:
            return NvdecCodec(video, source, index=self._settings.gpu, stream=self._decode_stream.handle)
        return HwaccelCodec(
            video, source, index=self._settings.gpu, ready=self._wait_for_all, free_bytes=self._free_bytes
        )

    def _wait_for_all(self) -> None:
        with self._decode_stream.current():
            cupy.cuda.Stream.null.synchronize()
        self._decode_stream.synchronize()

    def _free_bytes(self) -> int:
        with device_errors("asking for free memory"), cupy.cuda.Device(self._settings.gpu):
            return int(cupy.cuda.runtime.memGetInfo()[0])

    def _engine(self, name: str, model: bytes) -> InferenceEngine:
        device = EngineDevice(self._settings.gpu, self._target, self.stream.handle)
        chosen = open_engine(name, model, device, self._settings, _engine_cache(self._cache_dir))
        for note in chosen.notes:
            self._note(note)
        return chosen.engine

    def _note(self, note: str) -> None:
        if note not in self._notes:
            self._notes = (*self._notes, note)


def _reject_hdr(keep_hdr: bool) -> None:
    if keep_hdr:
        raise ValueError("this device does not keep HDR")


class _HostOutputs:
    """An engine whose outputs come to the host."""

    def __init__(self, engine: InferenceEngine, stream: JobStream) -> None:
        self._engine = engine
        self._stream = stream
        self.name = engine.name

    def run(self, batch: Any) -> list[Any]:
        outputs = self._engine.run(batch)  # they lie where the input lies
        return [self._stream.to_host(output) if hasattr(output, "get") else output for output in outputs]

    def close(self) -> None:
        self._engine.close()


def _set_kernel_cache(cache_dir: Path) -> None:
    """Set CuPy's cache of compiled kernels: its default is in the home directory, which a service lacks."""
    directory = cache_dir / "kernels"
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError:
        directory = Path(tempfile.gettempdir()) / f"dualface-kernels-{os.getuid()}"
    os.environ.setdefault("CUPY_CACHE_DIR", str(directory))


def _finds_nvdec() -> bool:
    return importlib.util.find_spec("PyNvVideoCodec") is not None


def _engine_cache(cache_dir: Path | None) -> EngineCache:
    return EngineCache(None if cache_dir is None else cache_dir / "engines")


@functools.cache
def _encoders(settings: DeviceSettings, nvenc: SessionProbe | None) -> DeviceEncoders:
    """Return the process's only instance, which counts the GPU's encoder sessions."""
    return DeviceEncoders(settings, nvenc)


def _take_stream(index: int) -> JobStream:
    with _spares:
        spare = _spare_streams.setdefault(index, [])
        if spare:
            return spare.pop()
    return JobStream(index)


def _describe(index: int) -> tuple[str, str]:
    """Return the GPU's name, "NVIDIA H200", and its generation, "sm90"."""
    with device_errors("asking the GPU"):
        name = cupy.cuda.runtime.getDeviceProperties(index)["name"].decode()
        return name, f"sm{cupy.cuda.Device(index).compute_capability}"
