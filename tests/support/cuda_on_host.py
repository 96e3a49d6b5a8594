"""The parts of the CUDA backend for the contract suites, with host memory at both ends.

Each comes twice: with the kernels run on the CPU (``tests.support.kernel_emulation``) and on a GPU. The emulated
decoder has FFmpeg's
codec where a GPU has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from engines.cuda.compose import CudaCompositor
from engines.cuda.decoding.decoder import GPUDecoder
from engines.cuda.decoding.nvdec import DamagedPacketError, refusal, usual_capabilities
from engines.cuda.decoding.surfaces import Surface, upload
from engines.cuda.preprocess import CudaPreprocessor
from engines.cuda.stream_protocol import DeviceWork
from engines.frames import Frame, FrameBatch, MediaInfo, VideoInfo
from engines.protocols import Composition, TileSource
from engines.settings import DeviceSettings
from tests.support.gpu_presence import needs_gpu
from tests.support.kernel_emulation import COMPILER, EmulatedStream

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C++ compiler here")


def gpu_stream() -> DeviceWork:
    from engines.cuda.stream import JobStream  # noqa: PLC0415  needs CuPy

    return JobStream(0)


STREAMS = [
    pytest.param(EmulatedStream, id="cuda-emulated", marks=needs_compiler),
    pytest.param(gpu_stream, id="cuda", marks=[pytest.mark.gpu, needs_gpu]),
]


def on_device(part: Callable[..., Any]) -> list[Any]:
    """Parameters for a suite: ``part`` with each kind of stream as its first argument."""
    return [
        pytest.param(lambda *args, open_stream=p.values[0], **options: part(open_stream(), *args, **options),
                     id=p.id, marks=p.marks)
        for p in STREAMS
    ]  # fmt: skip


def to_device(stream: DeviceWork, frame: Frame) -> Frame:
    return replace(frame, **dict(zip(("y", "uv"), upload(stream, (frame.y, frame.uv)), strict=True)))


def to_host(stream: DeviceWork, frame: Frame) -> Frame:
    """The frame in one block of host memory, as it lay in one on the device."""
    assert stream.address(frame.uv) == stream.address(frame.y) + frame.width * frame.height
    planes = [stream.to_host(plane) for plane in (frame.y, frame.uv)]
    block = np.concatenate([plane.reshape(-1) for plane in planes])
    y, uv = block[: planes[0].size].reshape(planes[0].shape), block[planes[0].size :].reshape(planes[1].shape)
    return replace(frame, y=y, uv=uv)


class HostCompositor:
    """A device's compositor for frames in host memory."""

    def __init__(self, stream: DeviceWork, width: int, height: int) -> None:
        self._stream = stream
        self._compositor = CudaCompositor(stream, width, height)
        self.name = self._compositor.name

    def compose(self, left: TileSource, right: TileSource | None, pts: int, duration: int) -> Frame:
        return self.compose_batch([Composition(left, right, pts, duration)])[0]

    def compose_batch(self, compositions: Sequence[Composition]) -> list[Frame]:
        moved = [
            Composition(self._moved(c.left), c.right and self._moved(c.right), c.pts, c.duration) for c in compositions
        ]
        return [to_host(self._stream, frame) for frame in self._compositor.compose_batch(moved)]

    def _moved(self, tile: TileSource) -> TileSource:
        return replace(tile, frame=to_device(self._stream, tile.frame))


class HostPreprocessor:
    """A device's preprocessor for frames and tensors in host memory."""

    def __init__(self, stream: DeviceWork, aspect: float | None = None) -> None:
        self._stream = stream
        self._inner = CudaPreprocessor(stream, aspect)

    def detector_input(self, frames: Sequence[Frame], width: int, height: int) -> np.ndarray:
        return self._stream.to_host(self._inner.detector_input(self._moved(frames), width, height))

    def thumbnails(self, frames: Sequence[Frame], width: int, height: int) -> np.ndarray:
        return self._inner.begin_thumbnails(self._moved(frames), width, height)()

    def aligned_chips(self, frames: Sequence[Frame], landmarks: np.ndarray, size: int) -> np.ndarray:
        return self._stream.to_host(self._inner.aligned_chips(self._moved(frames), landmarks, size))

    def candidates(self, outputs: Sequence[np.ndarray], score_threshold: float) -> Any:
        return self._inner.candidates([self._stream.upload(output) for output in outputs], score_threshold)

    def _moved(self, frames: Sequence[Frame]) -> list[Frame]:
        return [to_device(self._stream, frame) for frame in frames]


class HostDecoder:
    """A device's decoder whose frames come to the host."""

    def __init__(self, stream: DeviceWork, decoder: GPUDecoder) -> None:
        self._stream = stream
        self._decoder = decoder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decoder, name)

    def batches(self, start_pts: int | None = None, size: int = 8) -> Iterator[FrameBatch]:
        for batch in self._decoder.batches(start_pts, size):
            yield FrameBatch(tuple(to_host(self._stream, f) for f in batch.frames), batch.time_base)


def gpu_decoder(path: Path, info: MediaInfo, max_surface_pixels: int, **settings: Any) -> HostDecoder:
    """NVDEC, through the backend that jobs use."""
    from engines.cuda.backend import open_cuda  # noqa: PLC0415  needs CuPy

    backend = open_cuda(DeviceSettings(backend="cuda", **settings))
    return HostDecoder(backend.stream, backend.decoder(path, info, max_surface_pixels=max_surface_pixels))


def hwaccel_decoder(path: Path, info: MediaInfo, max_surface_pixels: int, **settings: Any) -> HostDecoder:
    """NVDEC as FFmpeg drives it, which is what jobs use where PyNvVideoCodec is not installed."""
    from engines.cuda.backend import open_cuda  # noqa: PLC0415  needs CuPy

    backend = open_cuda(DeviceSettings(backend="cuda", **settings), has_nvdec=False)
    return HostDecoder(backend.stream, backend.decoder(path, info, max_surface_pixels=max_surface_pixels))


def emulated_decoder(
    path: Path,
    info: MediaInfo,
    max_surface_pixels: int,
    *,
    open_codec: Any = None,
    on_refusal: Callable[[str], None] = lambda _: None,
    **settings: Any,
) -> HostDecoder:
    """The decoder of a GPU with FFmpeg's codec, which takes what NVDEC takes."""
    stream = EmulatedStream()
    video = info.video
    decoder = GPUDecoder(
        path, info, max_surface_pixels=max_surface_pixels, stream=stream, device="emulated",
        settings=DeviceSettings(**settings), open_codec=open_codec or SoftwareCodec,
        refusal=refusal(video, 0, capabilities=usual_capabilities), on_refusal=on_refusal,
    )  # fmt: skip
    return HostDecoder(stream, decoder)


class SoftwareCodec:
    """FFmpeg's decoder in the place of NVDEC: same calls, surfaces in host memory that are reused at the next.

    As on a GPU, surfaces keep the size that they began with, whatever the stream does.
    """

    name = "software"

    def __init__(self, video: VideoInfo, source: av.VideoStream) -> None:
        self._context = av.CodecContext.create(source.codec_context.name, "r")
        self._context.extradata = source.codec_context.extradata
        self._context.thread_count = 1
        self._size = video.coded_width, video.coded_height
        self._surfaces: list[np.ndarray] = []

    def decode(self, packet: av.Packet | None) -> list[tuple[int, Surface]]:
        for surface in self._surfaces:
            surface[:] = 99
        try:
            frames = [_sized(frame, *self._size) for frame in self._context.decode(packet)]
        except av.FFmpegError as error:
            raise DamagedPacketError(str(error)) from error
        self._surfaces = [stored(frame) for frame in frames]
        return [(f.pts, surface_of(f, memory)) for f, memory in zip(frames, self._surfaces, strict=True)]


def _sized(frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
    return frame if (frame.width, frame.height) == (width, height) else frame.reformat(width, height)


def stored(frame: av.VideoFrame) -> np.ndarray:
    """A 4:2:0 frame as NVDEC stores it: NV12, or P016 with the value in the upper bits."""
    bits = frame.format.components[0].bits
    planes = [plane_of(plane, 2 if bits > 8 else 1) for plane in frame.planes]
    memory = np.concatenate([planes[0].reshape(-1), np.stack(planes[1:], axis=2).reshape(-1)])
    return memory << (16 - bits) if bits > 8 else memory


def plane_of(plane: av.video.plane.VideoPlane, sample_bytes: int) -> np.ndarray:
    rows = np.frombuffer(plane, f"u{sample_bytes}").reshape(plane.height, plane.line_size // sample_bytes)
    return rows[:, : plane.width]


def surface_of(frame: av.VideoFrame, memory: np.ndarray) -> Surface:
    pitch = frame.width * memory.itemsize
    luma = memory.ctypes.data
    return Surface(
        luma, luma + pitch * frame.height, pitch, pitch, frame.width, frame.height, wide=memory.itemsize == 2
    )
