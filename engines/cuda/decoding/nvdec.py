"""NVDEC through PyNvVideoCodec's core decoder, fed with FFmpeg's packets."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

import av
from av.bitstream import BitStreamFilterContext
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from engines.cuda.decoding.surfaces import Surface
from engines.device_errors import device_errors
from engines.errors import EngineError
from engines.frames import VideoInfo

CODECS = {"h264": "H264", "hevc": "HEVC", "av1": "AV1", "vp9": "VP9"}  # FFmpeg's names -> NVDEC's
_START_CODES = {"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb"}  # NVDEC needs them, MP4 has none
_PLANAR_420 = ("yuv420p", "yuvj420p", "yuv420p10le", "yuv420p12le", "nv12", "p010le")
_WIDE_FORMATS = ("P016",)

Capabilities = Callable[[int, str, int], dict[str, int]]


class GPURefusedError(Exception):
    """The GPU does not decode this stream, or not the rest of it; the message says why."""


class DamagedPacketError(Exception):
    """A packet holds nothing that the GPU can decode."""


class NvdecCodec:
    """One session of the GPU's decoder.

    Args:
        video: the stream's description, for which ``refusal`` returned None.
        source: the stream that the packets belong to.
        index: number of the CUDA device.
        stream: CUstream on which surfaces are written; read them there before the next packet is decoded.

    Raises:
        GPURefusedError: no session can be opened.
        DeviceOutOfMemoryError, DeviceLostError: the GPU failed.
    """

    name = "nvdec"

    def __init__(self, video: VideoInfo, source: VideoStream, *, index: int, stream: int) -> None:
        self._library = _library()
        codec = getattr(self._library.cudaVideoCodec, CODECS[video.codec])
        filter_name = _START_CODES.get(video.codec)
        self._filter = BitStreamFilterContext(filter_name, source) if filter_name else None
        self._decoder = _call(
            lambda: self._library.CreateDecoder(gpuid=index, codec=codec, cudastream=stream, usedevicememory=True)
        )

    def decode(self, packet: Packet[Stream] | None) -> list[tuple[int, Surface]]:
        """Decode a packet, or with None the rest; return frames in display order, each with its packet's pts.

        Raises:
            DamagedPacketError: the packet cannot be decoded.
            GPURefusedError: the session cannot go on.
        """
        parts = self._with_start_codes(packet)
        frames = [frame for part in parts for frame in self._decode(part)]
        return frames + self._decode(None) if packet is None else frames

    def _with_start_codes(self, packet: Packet[Stream] | None) -> list[Packet[Stream]]:
        if self._filter is None:
            return [] if packet is None else [packet]
        try:
            return self._filter.filter(packet)
        except av.FFmpegError as error:
            self._filter.flush()
            raise DamagedPacketError(str(error)) from error

    def _decode(self, packet: Packet[Stream] | None) -> list[tuple[int, Surface]]:
        data = self._library.PacketData()
        data.bsl = packet.buffer_size if packet is not None else 0
        data.bsl_data = packet.buffer_ptr if packet is not None else 0
        data.pts = packet.pts if packet is not None else 0
        data.decode_flag = 0
        frames = _call(lambda: self._decoder.Decode(data))
        return [(int(frame.timestamp), _surface(frame)) for frame in frames]


def capabilities(index: int, codec: str, bit_depth: int) -> dict[str, int]:
    """Return what cuvidGetDecoderCaps reports for a codec (FFmpeg's name) in 4:2:0."""
    return dict(_decoder_caps(index, codec, bit_depth))


def usual_capabilities(_index: int, codec: str, bit_depth: int) -> dict[str, int]:
    """Return what most GPUs decode, for a GPU that cannot be asked; it may still refuse."""
    least, most = (48, 4096) if codec == "h264" else (144, 8192)
    supported = codec != "h264" or bit_depth == 8
    return {
        "supported": supported,
        "width_min": least,
        "height_min": 16 if codec == "h264" else least,
        "width_max": most,
        "height_max": most,
        "mb_num_max": most * most // 256,
    }


def refusal(video: VideoInfo, index: int, capabilities: Capabilities = capabilities) -> str | None:
    """Return why the GPU should not decode this stream, or None if it should."""
    if video.codec not in CODECS:
        return f"the GPU has no decoder for {video.codec}"
    if video.interlaced:
        return "interlaced frames are deinterlaced on the CPU"
    if video.pix_fmt not in _PLANAR_420:
        return f"the GPU does not decode {video.pix_fmt}"
    if video.coded_width % 2 or video.coded_height % 2:
        return "the frame's size is odd"
    return _beyond(capabilities(index, video.codec, video.bit_depth), video)


def _beyond(capabilities: dict[str, int], video: VideoInfo) -> str | None:
    width, height = video.coded_width, video.coded_height
    what = f"{video.codec} of {width}x{height} with {video.bit_depth} bits"
    blocks = -(-width // 16) * -(-height // 16)
    fits = (
        capabilities["width_min"] <= width <= capabilities["width_max"]
        and capabilities["height_min"] <= height <= capabilities["height_max"]
        and blocks <= capabilities["mb_num_max"]
    )
    return None if capabilities["supported"] and fits else f"the GPU does not decode {what}"


@functools.cache
def _decoder_caps(index: int, codec: str, bit_depth: int) -> dict[str, int]:
    """Ask the driver once: each question makes a CUDA context."""
    library = _library()
    chroma = getattr(library.cudaVideoChromaFormat, "420")
    answer: dict[str, int] = _call(
        lambda: dict(
            library.GetDecoderCaps(
                gpuid=index, codec=getattr(library.cudaVideoCodec, CODECS[codec]), chromaformat=chroma,
                bitdepth=bit_depth,
            )
        )
    )  # fmt: skip
    return answer


def _surface(frame: Any) -> Surface:
    """Rows are not padded; the views' own strides count samples."""
    luma, chroma = frame.cuda()[:2]
    height, width = luma.shape[:2]
    wide = frame.format.name in _WIDE_FORMATS
    pitch = width * (2 if wide else 1)
    return Surface(luma.dataptr, chroma.dataptr, pitch, pitch, width, height, wide)


def _call(work: Any) -> Any:
    """Return the library's answer; its two exceptions have no common base."""
    try:
        with device_errors("decoding"):
            return work()
    except EngineError:
        raise
    except Exception as error:
        words = [line for line in str(error).splitlines() if line.strip()]
        raise GPURefusedError(words[0] if words else type(error).__name__) from error


def _library() -> Any:
    return importlib.import_module("PyNvVideoCodec")
