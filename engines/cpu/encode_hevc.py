"""Encode HDR as HEVC Main 10 with x265, through PyAV."""

from __future__ import annotations

from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from engines.cpu.encode import X264Encoder
from engines.cpu.graph import samples_of
from engines.frames import ColorTags, Frame
from engines.settings import EncoderSettings

_FRAME_THREADS_MAX = 4
_TO_TEN_BITS = 6  # P010 has its ten bits at the top


class X265Encoder(X264Encoder):
    """libx265, HEVC Main 10, 4:2:0, from P010. Satisfies ``engines.protocols.Encoder``.

    Arguments and guarantees are those of ``X264Encoder``; only options and frame format differ.
    """

    name = "libx265"
    pix_fmt = "yuv420p10le"

    def _options(self, settings: EncoderSettings, color: ColorTags, threads: int) -> dict[str, str]:
        parameters = {"log-level": "error", "info": "0", "open-gop": "0"}
        if threads:
            parameters |= {"pools": str(threads), "frame-threads": str(min(_FRAME_THREADS_MAX, threads))}
        if color.mastering_display:
            parameters["master-display"] = color.mastering_display
        if color.content_light:
            parameters["max-cll"] = color.content_light
        joined = ":".join(f"{name}={value}" for name, value in parameters.items())
        return {"preset": settings.preset, "crf": str(settings.crf), "x265-params": joined}

    def _as_video_frame(self, frame: Frame) -> VideoFrame:
        image = VideoFrame(frame.width, frame.height, self.pix_fmt)
        for plane, samples in zip(image.planes, (frame.y, frame.uv[..., 0], frame.uv[..., 1]), strict=True):
            np.copyto(samples_of(plane, np.uint16)[:, : plane.width], _ten_bits(samples))
        image.pts, image.time_base = frame.pts, self._time_base
        return image


def _ten_bits(samples: NDArray[Any]) -> NDArray[np.uint16]:
    """Return samples rounded to 10 bits."""
    half = 1 << (_TO_TEN_BITS - 1)
    return np.asarray((np.minimum(samples, 2**16 - 1 - half) + np.uint16(half)) >> _TO_TEN_BITS, np.uint16)
