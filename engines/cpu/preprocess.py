"""Model inputs from NV12 pictures, made at the small size so that no picture is ever converted in full."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.frames import Frame, Plane
from engines.models.yunet import content_size


class CpuPreprocessor:
    """Scales the planes with OpenCV and converts what is left as BT.601 of limited range."""

    def __init__(self, aspect: float | None = None) -> None:
        """``aspect`` is the displayed picture's width to height; None takes it from the frames."""
        self._aspect = aspect

    def detector_input(self, frames: Sequence[Frame], width: int, height: int) -> NDArray[np.float32]:
        """Shape (N, 3, height, width), BGR 0..255: the picture scaled to fit, top left, black padding.

        ``engines.models.yunet.content_size`` of the displayed aspect says how large the picture is in there.
        """
        batch = np.zeros((len(frames), 3, height, width), np.float32)
        for picture, frame in zip(batch, frames, strict=True):
            fit_w, fit_h = content_size(self._aspect or frame.width / frame.height, width, height)
            small = _small_bgr(frame, fit_w, fit_h)
            for channel in range(3):
                picture[channel, :fit_h, :fit_w] = small[..., channel]
        return batch

    def thumbnails(self, frames: Sequence[Frame], width: int, height: int) -> NDArray[np.uint8]:
        """Luma pictures for cut detection, shape (N, height, width), area-averaged."""
        small = [cv2.resize(frame.y, (width, height), interpolation=cv2.INTER_AREA) for frame in frames]
        return np.stack(small).astype(np.uint8, copy=False)


def _small_bgr(frame: Frame, width: int, height: int) -> Plane:
    """The whole picture in ``width`` x ``height``, both even."""
    y = _scaled(frame.y, width, height)
    uv = _scaled(frame.uv, width // 2, height // 2)
    return cv2.cvtColorTwoPlane(y, uv, cv2.COLOR_YUV2BGR_NV12)  # type: ignore[return-value]


def _scaled(plane: Plane, width: int, height: int) -> Plane:
    shrinks = plane.shape[1] >= width and plane.shape[0] >= height
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(plane, (width, height), interpolation=how)  # type: ignore[return-value]
