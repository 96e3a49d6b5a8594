"""Encode H.264 with x264, through PyAV."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.codec.context import CodecContext, Flags
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from engines.cpu.filters import planes_of
from engines.errors import EncodeFailedError
from engines.frames import ColorTags, EncodedPacket, Frame, Plane
from engines.settings import EncoderSettings

GOP_S = 8
GOP_FRAMES_MIN, GOP_FRAMES_MAX = 12, 600
LOOKAHEAD_FRAMES = 15  # x264 holds about 7 MB for each at 1080p; the 50 of "slow" hardly improve quality
_QUICK_PRESETS = ("ultrafast", "superfast", "veryfast")  # look ahead less than that
RANGE_LIMITED, RANGE_FULL = 1, 2


class X264Encoder:
    """libx264, H.264 High, 4:2:0, from NV12. Satisfies ``engines.protocols.Encoder``.

    The same frames give the same packets every time, for a given number of threads. x264 uses frame threads: PyAV's
    default, sliced threads, costs quality and speed.

    Args:
        width, height: size of all frames.
        time_base: time base of the frames' pts, which may be unevenly spaced.
        fps: mean rate, used only for rate control and the distance of keyframes.
        threads: encoder threads; 0 chooses by the number of cores, so that the output depends on the machine.

    Raises:
        EncodeFailedError: x264 refused the parameters or a frame.
    """

    name = "libx264"
    pix_fmt = "nv12"

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
        context = CodecContext.create(self.name, "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height, context.pix_fmt = width, height, self.pix_fmt
        context.time_base, context.framerate = time_base, fps
        context.gop_size = gop_frames(fps)
        context.thread_count, context.thread_type = threads, "FRAME"
        context.flags |= Flags.global_header | Flags.closed_gop
        context.color_primaries, context.color_trc = color.primaries, color.transfer
        context.colorspace = color.matrix
        context.color_range = RANGE_FULL if color.full_range else RANGE_LIMITED
        context.options = self._options(settings, color, threads)
        try:
            context.open()
        except av.FFmpegError as error:
            message = f"{self.name} does not accept {width}x{height} with these settings: {error}."
            raise EncodeFailedError(message) from error
        self._context = context
        self._time_base = time_base
        self.extradata: bytes = context.extradata or b""

    def encode(self, frame: Frame) -> list[EncodedPacket]:
        """Encode the next frame in order of pts; return the packets that are ready, in decoding order."""
        return self._send(self._as_video_frame(frame))

    def flush(self) -> list[EncodedPacket]:
        """Return the remaining packets. The encoder cannot be used afterwards."""
        return self._send(None)

    def _send(self, image: VideoFrame | None) -> list[EncodedPacket]:
        try:
            packets = self._context.encode(image)
        except av.FFmpegError as error:
            raise EncodeFailedError(f"{self.name} failed: {error}.") from error
        return [EncodedPacket(bytes(p), p.pts or 0, p.is_keyframe) for p in packets]

    def _options(self, settings: EncoderSettings, _color: ColorTags, _threads: int) -> dict[str, str]:
        return _options(settings)

    def _as_video_frame(self, frame: Frame) -> VideoFrame:
        block = _one_block(frame)
        if block is not None:
            image = VideoFrame.from_numpy_buffer(block, "nv12")
        else:
            image = VideoFrame(frame.width, frame.height, "nv12")
            y, uv = planes_of(image)
            np.copyto(y, frame.y)
            np.copyto(uv, frame.uv)
        image.pts, image.time_base = frame.pts, self._time_base
        return image


def _options(settings: EncoderSettings) -> dict[str, str]:
    options = {"preset": settings.preset, "crf": str(settings.crf), "profile": "high"}
    if settings.preset not in _QUICK_PRESETS:
        options["rc-lookahead"] = str(LOOKAHEAD_FRAMES)
    return options


def _one_block(frame: Frame) -> Plane | None:
    """Return the frame as one array (H * 3 / 2, W) without copying if its planes are adjacent in memory, else None."""
    block = frame.y.base
    if not isinstance(block, np.ndarray) or block is not frame.uv.base or block.nbytes != frame.nbytes:
        return None
    follows = frame.uv.ctypes.data == frame.y.ctypes.data + frame.y.nbytes
    tight = frame.y.flags.c_contiguous and frame.uv.flags.c_contiguous and block.flags.c_contiguous
    return block.reshape(frame.height * 3 // 2, frame.width) if follows and tight else None


def gop_frames(fps: Fraction) -> int:
    """Return the largest distance of keyframes: eight seconds, within limits."""
    return min(GOP_FRAMES_MAX, max(GOP_FRAMES_MIN, round(fps * GOP_S)))
