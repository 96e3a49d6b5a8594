"""Model inputs from NV12 pictures, made at the small size so that no picture is ever converted in full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.frames import Frame, Plane
from engines.models.face_embedding import chip_transforms
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
            for channel, values in enumerate(cv2.split(_small_bgr(frame, fit_w, fit_h))):
                picture[channel, :fit_h, :fit_w] = values
        return batch

    def thumbnails(self, frames: Sequence[Frame], width: int, height: int) -> NDArray[np.uint8]:
        """Luma pictures for cut detection, shape (N, height, width), area-averaged."""
        small = [cv2.resize(frame.y, (width, height), interpolation=cv2.INTER_AREA) for frame in frames]
        return np.stack(small).astype(np.uint8, copy=False)

    def aligned_chips(self, frame: Frame, landmarks: NDArray[np.float32], size: int) -> NDArray[np.float32]:
        """Aligned face chips for the embedding, shape (N, 3, size, size), RGB 0..255.

        ``landmarks`` has shape (N, 5, 2), in pixels of ``frame``, in YuNet's order.
        """
        stretch = (self._aspect or frame.width / frame.height) * frame.height / frame.width
        square_pixels = np.array([stretch, 1.0], np.float32)
        chips = np.empty((len(landmarks), 3, size, size), np.float32)
        for chip, transform in zip(chips, chip_transforms(landmarks * square_pixels, size), strict=True):
            bgr = _warped(frame, transform / square_pixels[:, None], size)
            chip[:] = bgr[..., ::-1].transpose(2, 0, 1)
        return chips


def _warped(frame: Frame, transform: NDArray[np.float64], size: int) -> Plane:
    """The square of ``size`` pixels whose pixels ``transform`` (2, 3) takes to those of the frame.

    A larger face is shrunk by area first, so that the bilinear warp never skips pixels.
    """
    corners = transform[:, :2] @ np.array([[0, 0, size, size], [0, size, 0, size]]) + transform[:, 2:]
    region, left_top = _region(frame, corners.min(axis=1), corners.max(axis=1))
    steps = np.linalg.norm(transform[:, :2], axis=1)
    fit_w, fit_h = _fitted(region.width, steps[0]), _fitted(region.height, steps[1])
    small = _small_bgr(region, fit_w, fit_h)
    shrink = np.array([fit_w / region.width, fit_h / region.height])[:, None]
    inside = transform * shrink
    inside[:, 2] += ((0.5 - left_top) * shrink[:, 0]) - 0.5
    return cv2.warpAffine(  # type: ignore[return-value]
        small, inside, (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )


def _fitted(pixels: int, step: float) -> int:
    return 2 * max(1, round(pixels / max(1.0, step) / 2))


def _region(frame: Frame, low: NDArray[np.float64], high: NDArray[np.float64]) -> tuple[Frame, NDArray[np.int64]]:
    """The part of the frame between two corners and a little around, with whole chroma samples; and its origin."""
    limit = np.array([frame.width, frame.height]) // 2 * 2
    first = np.clip(np.floor(low / 2) * 2 - 4, 0, limit - 2).astype(np.int64)
    last = np.clip(np.ceil(high / 2) * 2 + 4, first + 2, limit).astype(np.int64)
    (x0, y0), (x1, y1) = first, last
    part = replace(frame, y=frame.y[y0:y1, x0:x1], uv=frame.uv[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2])
    return part, first


def _small_bgr(frame: Frame, width: int, height: int) -> Plane:
    """The whole picture in ``width`` x ``height``, both even."""
    y = _scaled(frame.y, width, height)
    uv = _scaled(frame.uv, width // 2, height // 2)
    return cv2.cvtColorTwoPlane(y, uv, cv2.COLOR_YUV2BGR_NV12)  # type: ignore[return-value]


def _scaled(plane: Plane, width: int, height: int) -> Plane:
    shrinks = plane.shape[1] >= width and plane.shape[0] >= height
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(plane, (width, height), interpolation=how)  # type: ignore[return-value]
