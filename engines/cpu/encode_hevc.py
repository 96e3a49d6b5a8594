"""Encoding HDR with x265 through PyAV: HEVC Main 10."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.codec.context import CodecContext, Flags
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from engines.cpu.encode import RANGE_LIMITED, X264Encoder, gop_frames
from engines.cpu.graph import samples_of
from engines.errors import EncodeFailedError
from engines.frames import ColorTags, Frame
from engines.settings import EncoderSettings

_FRAME_THREADS_MAX = 4
_TO_TEN_BITS = 6                      # P010 has its ten bits on top


class X265Encoder(X264Encoder):
    """libx265, HEVC Main 10, 4:2:0, from P010. Satisfies ``engines.protocols.Encoder``.

    Arguments and promises are those of ``X264Encoder``; only the parameters and the pictures are others.

    Raises:
        EncodeFailedError: x265 refused the parameters or a picture.
    """

    name = "libx265"

    def __init__(
        self,
        width: int,
        height: int,
        *,
        time_base: Fraction,
        fps: Fraction,
        color: ColorTags,
        settings: EncoderSettings,
        threads: int,
    ) -> None:
        context = CodecContext.create("libx265", "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height, context.pix_fmt = width, height, "yuv420p10le"
        context.time_base, context.framerate = time_base, fps
        context.gop_size = gop_frames(fps)
        context.flags |= Flags.global_header | Flags.closed_gop
        context.color_primaries, context.color_trc = color.primaries, color.transfer
        context.colorspace, context.color_range = color.matrix, RANGE_LIMITED
        parameters = _parameters(color, threads)
        context.options = {"preset": settings.preset, "crf": str(settings.crf), "x265-params": parameters}
        try:
            context.open()
        except av.FFmpegError as error:
            raise EncodeFailedError(f"x265 does not accept {width}x{height} with these settings: {error}.") from error
        self._context = context
        self._time_base = time_base
        self.extradata: bytes = context.extradata or b""

    def _as_video_frame(self, frame: Frame) -> VideoFrame:
        picture = VideoFrame(frame.width, frame.height, "yuv420p10le")
        for plane, samples in zip(picture.planes, (frame.y, frame.uv[..., 0], frame.uv[..., 1]), strict=True):
            np.copyto(samples_of(plane, np.uint16)[:, : plane.width], _ten_bits(samples))
        picture.pts, picture.time_base = frame.pts, self._time_base
        return picture


def _ten_bits(samples: NDArray[Any]) -> NDArray[np.uint16]:
    """The nearest values of 10 bits."""
    half = 1 << (_TO_TEN_BITS - 1)
    return np.asarray((np.minimum(samples, 2**16 - 1 - half) + np.uint16(half)) >> _TO_TEN_BITS, np.uint16)


def _parameters(color: ColorTags, threads: int) -> str:
    parameters = {"log-level": "error", "info": "0", "open-gop": "0"}
    if threads:
        parameters |= {"pools": str(threads), "frame-threads": str(min(_FRAME_THREADS_MAX, threads))}
    if color.mastering_display:
        parameters["master-display"] = color.mastering_display
    if color.content_light:
        parameters["max-cll"] = color.content_light
    return ":".join(f"{name}={value}" for name, value in parameters.items())
