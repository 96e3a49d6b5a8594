"""Make model inputs of NV12 frames, scaling before colour conversion so that no frame is converted in full."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.frames import Frame, Plane
from engines.models.face_embedding import chip_transforms
from engines.models.yunet import Candidates, brighten, candidates, content_size
from engines.video.sdr_preview import SdrPreview

_ROWS_AVERAGED = 10  # of the frame, for each row of a thumbnail


class CpuPreprocessor:
    """Scales planes with OpenCV, then converts them as BT.601 of limited range."""

    def __init__(self, aspect: float | None = None, preview: SdrPreview | None = None) -> None:
        """Create a preprocessor.

        Args:
            aspect: width to height of displayed frames that do not give it; None: that of the stored frame.
            preview: converts P010 frames to SDR.
        """
        self._aspect = aspect
        self._preview = preview
        self._batch = np.zeros((0, 3, 0, 0), np.float32)
        self._content = 0, 0

    def detector_input(self, frames: Sequence[Frame], width: int, height: int) -> NDArray[np.float32]:
        """Return frames scaled to fit, top left, with black padding: shape (N, 3, height, width), BGR 0..255.

        Dark ones are brightened. ``engines.models.yunet.content_size`` of the displayed aspect, equal for all frames of
        a call, gives their size in the input. The next call reuses the memory.
        """
        fit_w, fit_h = content_size(shown_aspect(frames[0], self._aspect), width, height)
        batch = self._buffer(len(frames), width, height, (fit_w, fit_h))
        for image, frame in zip(batch, frames, strict=True):
            for channel, values in enumerate(cv2.split(_small_bgr(frame, fit_w, fit_h, self._preview))):
                image[channel, :fit_h, :fit_w] = values
            brighten(image[:, :fit_h, :fit_w])
        return batch

    def _buffer(self, count: int, width: int, height: int, content: tuple[int, int]) -> NDArray[np.float32]:
        """Return memory for a batch, reused from call to call: fresh pages would cost more than writing them.

        While the content's size does not change, the padding stays black.
        """
        fits = self._batch.shape[0] >= count and self._batch.shape[2:] == (height, width)
        if not fits or content != self._content:
            self._batch, self._content = np.zeros((count, 3, height, width), np.float32), content
        return self._batch[:count]

    def begin_thumbnails(self, frames: Sequence[Frame], width: int, height: int) -> Callable[[], NDArray[np.uint8]]:
        """Return a function that returns ``thumbnails`` of the same arguments."""
        return lambda: self.thumbnails(frames, width, height)

    def thumbnails(self, frames: Sequence[Frame], width: int, height: int) -> NDArray[np.uint8]:
        """Return area-averaged luma for cut detection, shape (N, height, width).

        Of large frames only every n-th row is read: ten rows for each row of the thumbnail are enough.
        """
        rows = [frame.y[:: max(1, frame.height // height // _ROWS_AVERAGED)] for frame in frames]
        small = [cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA) for part in rows]
        if self._preview is not None:
            small = [self._preview.luma(np.asarray(image)) for image in small]
        return np.stack(small).astype(np.uint8, copy=False)

    def aligned_chips(self, frames: Sequence[Frame], landmarks: NDArray[np.float32], size: int) -> NDArray[np.float32]:
        """Return aligned face chips for the embedding, shape (N, 3, size, size), RGB 0..255.

        ``landmarks`` has shape (N, 5, 2), in pixels of the frame with the same index, in YuNet's order.
        """
        chips = np.empty((len(landmarks), 3, size, size), np.float32)
        plans = plan_chips(frames, landmarks, size, self._aspect)
        for chip, frame, plan in zip(chips, frames, plans, strict=True):
            chip[:] = _warped(frame, plan, size, self._preview)[..., ::-1].transpose(2, 0, 1)
        return chips

    def to_host(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the tensor, which lies in host memory."""
        return tensor

    def candidates(self, outputs: Sequence[NDArray[np.float32]], score_threshold: float) -> Candidates:
        """Return the face candidates in the detector's outputs."""
        return candidates(outputs, score_threshold)


def shown_aspect(frame: Frame, usual: float | None) -> float:
    """Return the displayed width to height of a frame; ``usual`` applies to frames that do not give it."""
    if frame.display is not None:
        return frame.display[0] / frame.display[1]
    return usual or frame.width / frame.height


@dataclass(frozen=True, slots=True, eq=False)
class ChipPlan:
    """How a chip is cut out: its part of the frame is shrunk by area, so that the bilinear warp skips no pixels.

    Attributes:
        left, top, width, height: the part of the frame, in pixels, all even.
        columns, rows: size of the shrunk part, both even.
        transform: (2, 3), from pixels of the chip to pixels of the shrunk part.
    """

    left: int
    top: int
    width: int
    height: int
    columns: int
    rows: int
    transform: NDArray[np.float64]


def plan_chips(
    frames: Sequence[Frame], landmarks: NDArray[np.float32], size: int, aspect: float | None
) -> list[ChipPlan]:
    """Return plans for faces; ``landmarks`` (N, 5, 2) in pixels of the frames, ``aspect`` as in ``CpuPreprocessor``."""
    plans = []
    for frame, points in zip(frames, landmarks, strict=True):
        stretch = shown_aspect(frame, aspect) * frame.height / frame.width
        square_pixels = np.array([stretch, 1.0], np.float32)
        (transform,) = chip_transforms(points[None] * square_pixels, size)
        plans.append(_plan(transform / square_pixels[:, None], size, frame.width, frame.height))
    return plans


def _plan(transform: NDArray[np.float64], size: int, width: int, height: int) -> ChipPlan:
    """Return the plan of a chip with a margin; ``transform`` (2, 3) maps its pixels to those of the frame."""
    corners = transform[:, :2] @ np.array([[0, 0, size, size], [0, size, 0, size]]) + transform[:, 2:]
    limit = np.array([width, height]) // 2 * 2
    first = np.clip(np.floor(corners.min(axis=1) / 2) * 2 - 4, 0, limit - 2).astype(int)
    extent = np.clip(np.ceil(corners.max(axis=1) / 2) * 2 + 4, first + 2, limit).astype(int) - first
    steps = np.linalg.norm(transform[:, :2], axis=1)
    shrunk = 2 * np.maximum(1, np.rint(extent / np.maximum(1.0, steps) / 2)).astype(int)
    shrink = (shrunk / extent)[:, None]
    inside = transform * shrink
    inside[:, 2] += ((0.5 - first) * shrink[:, 0]) - 0.5
    (left, top), (across, down), (columns, rows) = (pair.tolist() for pair in (first, extent, shrunk))
    return ChipPlan(left, top, across, down, columns, rows, inside)


def _warped(frame: Frame, plan: ChipPlan, size: int, preview: SdrPreview | None) -> Plane:
    x0, y0, x1, y1 = plan.left, plan.top, plan.left + plan.width, plan.top + plan.height
    part = replace(frame, y=frame.y[y0:y1, x0:x1], uv=frame.uv[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2])
    return cv2.warpAffine(  # type: ignore[return-value]
        _small_bgr(part, plan.columns, plan.rows, preview), plan.transform, (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip


def _small_bgr(frame: Frame, width: int, height: int, preview: SdrPreview | None) -> Plane:
    """Return the whole frame as BGR in ``width`` x ``height``, both even."""
    y = _scaled(frame.y, width, height)
    uv = _scaled(frame.uv, width // 2, height // 2)
    if preview is not None:
        return preview.bgr(y, uv)
    return cv2.cvtColorTwoPlane(y, uv, cv2.COLOR_YUV2BGR_NV12)  # type: ignore[return-value]


def _scaled(plane: Plane, width: int, height: int) -> Plane:
    if plane.shape[:2] == (3 * height, 3 * width):
        # 1080p to the detector's size: the same means as by INTER_AREA, where OpenCV is fast for halves only.
        return np.ascontiguousarray(cv2.blur(plane, (3, 3))[1::3, 1::3], plane.dtype)
    shrinks = plane.shape[1] >= width and plane.shape[0] >= height
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(plane, (width, height), interpolation=how)  # type: ignore[return-value]
