"""NVDEC through FFmpeg and PyAV, for hosts without PyNvVideoCodec."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Callable

import av
from av.codec.context import CodecContext
from av.codec.hwaccel import HWAccel
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from engines.cuda.decoding.nvdec import DamagedPacketError, GPURefusedError
from engines.cuda.decoding.surfaces import Surface
from engines.errors import DeviceOutOfMemoryError
from engines.frames import VideoInfo

_BLOCKING_SYNC = 4  # CU_CTX_SCHED_BLOCKING_SYNC
_ENOUGH_BYTES = 2**30  # a supported decoder opens with this much free memory
_FULL = {errno.EOPNOTSUPP, errno.ENOMEM}  # FFmpeg's errors on a full GPU; the first also for unknown streams


class HwaccelCodec:
    """FFmpeg's decoder with the GPU as its accelerator. As ``engines.cuda.decoding.nvdec.NvdecCodec``.

    Args:
        ready: waits until FFmpeg's work on the GPU is done, which uses the default stream, and ours.
        free_bytes: returns the GPU's free memory.

    Raises:
        GPURefusedError: FFmpeg does not decode on this GPU.
    """

    name = "pyav-cuda"

    def __init__(
        self,
        video: VideoInfo,
        source: VideoStream,
        *,
        index: int,
        ready: Callable[[], None],
        free_bytes: Callable[[], int],
    ) -> None:
        _let_waiting_threads_sleep(index)
        accelerator = HWAccel("cuda", str(index), allow_software_fallback=False, is_hw_owned=True)
        try:
            context = CodecContext.create(source.codec_context.codec, "r", hwaccel=accelerator)
        except (av.FFmpegError, RuntimeError) as error:
            raise GPURefusedError(f"FFmpeg does not decode this on the GPU: {error}") from error
        assert isinstance(context, VideoCodecContext)
        context.extradata = source.codec_context.extradata
        self._context = context
        self._wide = video.bit_depth > 8
        self._ready = ready
        self._free_bytes = free_bytes
        self._shown: list[VideoFrame] = []
        self._has_shown = False

    def decode(self, packet: Packet[Stream] | None) -> list[tuple[int, Surface]]:
        """Decode a packet, or with None the rest; return frames in display order, each with its packet's pts.

        Raises:
            DamagedPacketError: the packet is not worth decoding.
            GPURefusedError: FFmpeg decoded on the CPU, or does not decode this on the GPU.
            DeviceOutOfMemoryError: the GPU has no room for the decoder.
        """
        self._ready()  # what was shown last may be overwritten from here on
        try:
            frames = self._context.decode(packet)
        except av.FFmpegError as error:
            if not self._has_shown:
                raise refused(error, self._free_bytes()) from error
            raise DamagedPacketError(str(error)) from error
        self._has_shown = self._has_shown or bool(frames)
        self._ready()
        self._shown = frames  # their memory is FFmpeg's: hold it until the next call
        return [(frame.pts or 0, _surface(frame, wide=self._wide)) for frame in frames]


def refused(error: av.FFmpegError, free_bytes: int) -> Exception:
    """Return our error for an error of FFmpeg's decoder before its first frame."""
    if error.errno in _FULL and free_bytes < _ENOUGH_BYTES:
        return DeviceOutOfMemoryError(f"The GPU ran out of memory while opening FFmpeg's decoder: {error}")
    return GPURefusedError(f"FFmpeg does not decode this on the GPU: {error}")


def _let_waiting_threads_sleep(index: int) -> None:
    """Set the flags that FFmpeg requires of the GPU's primary context, which it shares with CuPy."""
    device = ctypes.c_int()
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        driver.cuInit(0)
        driver.cuDeviceGet(ctypes.byref(device), index)
        driver.cuDevicePrimaryCtxSetFlags_v2(device, _BLOCKING_SYNC)
    except (OSError, AttributeError) as error:
        raise GPURefusedError(f"FFmpeg does not decode on the GPU: {error}") from error


def _surface(frame: VideoFrame, *, wide: bool) -> Surface:
    if frame.format.name != "cuda":
        raise GPURefusedError(f"FFmpeg decoded on the CPU ({frame.format.name})")
    luma, chroma = frame.planes
    return Surface(
        luma.buffer_ptr, chroma.buffer_ptr, luma.line_size, chroma.line_size, frame.width, frame.height, wide
    )
