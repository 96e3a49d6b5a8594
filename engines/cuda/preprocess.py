"""Model inputs from NV12 frames on the GPU, and candidates from the detector's outputs: one launch per batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from engines.cpu.preprocess import ChipPlan, plan_chips, shown_aspect
from engines.cuda.device_frames import many
from engines.cuda.kernels import CANDIDATE_FLOATS, CHIPS, MOST_CHIPS, MOST_FRAMES, OUTPUTS
from engines.cuda.stream_protocol import DeviceArray, DeviceWork
from engines.frames import Frame
from engines.models.yunet import LIT, MOST_GAIN, Candidates, content_size

_BLOCK = 16, 16
_WARP, _WARPS = 32, 8
_PRIORS_PER_BLOCK = 256
_LIGHT_THREADS = 256  # a power of two; as in the sources
_ROWS_AT_ONCE = 24  # candidates per frame that come with their number


class CudaPreprocessor:
    """Does what ``engines.cpu.preprocess.CpuPreprocessor`` does, with the same rounding after each step.

    Tensors stay on the GPU; thumbnails and candidates come to the host.
    """

    def __init__(self, stream: DeviceWork, aspect: float | None = None) -> None:
        """``aspect`` is the displayed width to height of frames that name none; None takes that of their pixels."""
        self._stream = stream
        self._aspect = aspect

    def detector_input(self, frames: Sequence[Frame], width: int, height: int) -> DeviceArray:
        """Return a tensor (N, 3, height, width), BGR 0..255: the frame scaled to fit, top left, black padding.

        Dark frames are brightened.
        """
        tensor = self._stream.empty((len(frames), 3, height, width), np.float32)
        columns, rows = content_size(shown_aspect(frames[0], self._aspect), width, height)
        sizes = [np.int32(size) for size in (width, height, columns, rows)]

        def fill(part: Sequence[Frame], out: DeviceArray) -> None:
            grid = (_blocks(width // 2, _BLOCK[0]), _blocks(height // 2, _BLOCK[1]), len(part))
            self._stream.launch("detector_input", grid, _BLOCK, many(self._stream, part), out, *sizes)

        _in_parts(frames, tensor, fill)
        light = np.float32(LIT), np.float32(MOST_GAIN)
        self._stream.launch("brighten", (len(frames),), (_LIGHT_THREADS,), tensor, *sizes, *light)
        return tensor

    def begin_thumbnails(self, frames: Sequence[Frame], width: int, height: int) -> Callable[[], NDArray[np.uint8]]:
        """Begin luma thumbnails for cut detection; the returned function returns them, shape (N, height, width)."""
        small = self._stream.empty((len(frames), height, width))

        def fill(part: Sequence[Frame], out: DeviceArray) -> None:
            grid = (_blocks(width, _WARPS), height, len(part))
            images = many(self._stream, part)
            self._stream.launch("thumbnails", grid, (_WARP, _WARPS), images, out, np.int32(width), np.int32(height))

        _in_parts(frames, small, fill)
        return self._stream.begin_to_host(small)

    def aligned_chips(self, frames: Sequence[Frame], landmarks: NDArray[np.float32], size: int) -> DeviceArray:
        """Return aligned face chips for the embedding, shape (N, 3, size, size), RGB 0..255.

        ``landmarks`` has shape (N, 5, 2), in pixels of the frame at the same index, in YuNet's order.
        """
        plans = plan_chips(frames, landmarks, size, self._aspect)
        chips = self._stream.empty((len(plans), 3, size, size), np.float32)
        for first in range(0, len(plans), MOST_CHIPS):
            part = slice(first, first + MOST_CHIPS)
            described = np.zeros((), CHIPS)
            described["at"][: len(plans[part])] = [_described(plan) for plan in plans[part]]
            grid = (_blocks(size, _BLOCK[0]), _blocks(size, _BLOCK[1]), len(plans[part]))
            images = many(self._stream, frames[part])
            self._stream.launch("aligned_chips", grid, _BLOCK, images, described, chips[part], np.int32(size))
        return chips

    def to_host(self, tensor: DeviceArray) -> NDArray[np.float32]:
        """Return a copy of the tensor in host memory."""
        return self._stream.to_host(tensor)

    def candidates(self, outputs: Sequence[DeviceArray], score_threshold: float) -> Candidates:
        """Return the priors in the detector's twelve outputs that may be faces.

        Their number and the first rows come in one copy, which is enough unless a frame shows a crowd.
        """
        images, priors = outputs[0].shape[0], sum(output.shape[1] for output in outputs[:3])
        most = images * priors
        found = self._stream.zeros((1 + CANDIDATE_FLOATS * most,), np.float32)
        grid = (_blocks(priors, _PRIORS_PER_BLOCK), images)
        self._stream.launch(
            "candidates", grid, (_PRIORS_PER_BLOCK,), self._outputs(outputs), found,
            np.int32(images), np.float32(score_threshold**2),
        )  # fmt: skip
        return _sorted(self._rows(found, min(most, images * _ROWS_AT_ONCE)), images)

    def _rows(self, found: DeviceArray, expected: int) -> NDArray[np.float32]:
        head = self._stream.to_host(found[: 1 + CANDIDATE_FLOATS * expected])
        count = int(head[:1].view(np.int32)[0])
        rows = head[1:]
        if count > expected:
            rest = self._stream.to_host(found[1 + CANDIDATE_FLOATS * expected : 1 + CANDIDATE_FLOATS * count])
            rows = np.concatenate([rows, rest])
        return rows[: CANDIDATE_FLOATS * count].reshape(count, CANDIDATE_FLOATS)

    def _outputs(self, outputs: Sequence[DeviceArray]) -> NDArray[np.void]:
        described = np.zeros((), OUTPUTS)
        for n, kind in enumerate(("cls", "obj", "bbox", "kps")):
            described[kind] = [self._stream.address(output) for output in outputs[3 * n : 3 * n + 3]]
        described["priors"] = [output.shape[1] for output in outputs[:3]]
        return described


def _in_parts(frames: Sequence[Frame], out: DeviceArray, fill: Callable[[Sequence[Frame], DeviceArray], None]) -> None:
    """Fill ``out`` with at most ``MOST_FRAMES`` frames per launch."""
    for first in range(0, len(frames), MOST_FRAMES):
        fill(frames[first : first + MOST_FRAMES], out[first : first + MOST_FRAMES])


def _blocks(items: int, size: int) -> int:
    return -(-items // size)


def _described(plan: ChipPlan) -> tuple[object, ...]:
    return plan.left, plan.top, plan.width, plan.height, plan.columns, plan.rows, plan.transform.ravel()


def _sorted(rows: NDArray[np.float32], images: int) -> Candidates:
    """Sort rows by frame and prior: the kernel writes them in the order in which its threads run."""
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    frame, prior = rows[:, 0].astype(np.intp), rows[:, 1].astype(np.intp)
    return Candidates(images, frame, prior, rows[:, 2], rows[:, 3:7], rows[:, 7:])
