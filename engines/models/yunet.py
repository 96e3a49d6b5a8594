"""YuNet, the face detector: its model for any size, the geometry of its input, and the decoding of its outputs.

Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector" (2023); weights from opencv_zoo, MIT.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engines.models.catalogue import YUNET

STRIDES = (8, 16, 32)
MULTIPLE = 32  # input width and height are multiples of the coarsest stride
MOST_CANDIDATES = 400  # most boxes per frame that enter suppression, best first

LIT = 70.0  # inputs whose fourth-power mean is less are brightened up to it ...
MOST_GAIN = 8.0  # ... at most by this factor
LIGHT_STEP = 8  # every so many pixels across and down count for that; as in the sources of the kernels

_GRAPH_VERSION = 1  # raise it when the graph changes
NAME = f"yunet-{YUNET.sha256[:12]}-v{_GRAPH_VERSION}"  # of the cached file that is made from it

Floats = NDArray[np.float32]


class Detections(NamedTuple):
    """Faces of one frame, best first.

    Attributes:
        boxes: (n, 4) left, top, width, height.
        scores: (n,) 0..1.
        landmarks: (n, 5, 2) right eye, left eye, nose tip, right and left corner of the mouth; right and left
            are the person's own.
    """

    boxes: Floats
    scores: Floats
    landmarks: Floats


def load() -> bytes:
    """Return the model as ONNX, FP32: input (N, 3, H, W) BGR 0..255, H and W multiples of 32.

    Its twelve outputs are cls, obj, bbox and kps, each for the strides 8, 16 and 32.

    Raises:
        ModelUnavailableError: the published file is missing or changed.
    """
    from engines.models.yunet_graph import with_free_sizes  # noqa: PLC0415 - seldom needed, and onnx loads slowly

    return with_free_sizes(YUNET.read())


def brighten(image: Floats) -> None:
    """Multiply a dark input by a gain, in place: without it, more dark faces than light ones are missed in low light.

    The measure is the fourth-power mean, to which bright parts count most: a face in a spot of light stays as it is.

    Args:
        image: (3, height, width), 0..255, without padding.
    """
    sample = np.square(image[:, ::LIGHT_STEP, ::LIGHT_STEP])
    light = float(np.sqrt(np.sqrt(np.mean(np.square(sample)))))
    gain = min(MOST_GAIN, LIT / max(light, 1.0))
    if gain > 1:
        np.minimum(image * np.float32(gain), 255, out=image)


def content_size(aspect: float, width: int, height: int) -> tuple[int, int]:
    """Return width and height, both even, of a frame of this aspect scaled to fit into ``width`` x ``height``.

    A detection at (x, y) of the input lies at (x * displayed_width / content_width, y * displayed_height /
    content_height) of the displayed frame.
    """
    fit_w = min(width, height * aspect)
    return max(2, 2 * round(fit_w / 2)), max(2, min(height, 2 * round(fit_w / aspect / 2)))


def input_size(aspect: float, width: int) -> tuple[int, int]:
    """Return width and height of the detector's input for frames of this aspect (width to height).

    ``width`` is that of a landscape frame; a portrait one gets as many pixels along its longer side.
    """
    if aspect < 1:
        return _up(width * aspect), _up(width)
    return _up(width), _up(width / aspect)


def _up(pixels: float) -> int:
    return max(MULTIPLE, -int(-(pixels - 2) // MULTIPLE) * MULTIPLE)


class Candidates(NamedTuple):
    """The model's outputs that may be faces, in order of frames and priors.

    Attributes:
        frames: number of frames in the batch.
        frame, prior: (n,) index of each one's frame and prior.
        confidence: (n,) cls * obj.
        bbox, kps: (n, 4), (n, 10) as the model gives them.
    """

    frames: int
    frame: NDArray[np.intp]
    prior: NDArray[np.intp]
    confidence: Floats
    bbox: Floats
    kps: Floats


def candidates(outputs: Sequence[Floats], score_threshold: float) -> Candidates:
    """Return the priors whose score, sqrt(cls * obj), reaches the threshold, from the model's twelve outputs."""
    cls, obj, bbox, kps = (np.concatenate(outputs[i : i + 3], axis=1) for i in range(0, 12, 3))
    confidence = (cls * obj)[..., 0]
    found = frame, prior = np.nonzero(confidence >= score_threshold**2)
    return Candidates(len(confidence), frame, prior, confidence[found], bbox[found], kps[found])


def faces(
    found: Candidates, width: int, height: int, *, nms_iou: float = 0.3, scale: tuple[float, float] = (1.0, 1.0)
) -> list[Detections]:
    """Return the faces of every frame of a batch.

    Args:
        found: candidates in outputs for an input of ``width`` x ``height`` pixels.
        nms_iou: of two boxes that overlap more than this, only the better one stays.
        scale: factors of x and y from pixels of the input to those of another frame.
    """
    scores = np.sqrt(found.confidence)
    boxes, landmarks = _geometry(found.bbox, found.kps, _grid(width, height)[found.prior])
    factors = np.asarray(scale, np.float32)
    boxes *= np.tile(factors, 2)
    landmarks *= factors
    detections = []
    for frame in range(found.frames):
        mine = np.flatnonzero(found.frame == frame)
        mine = mine[np.argsort(-scores[mine], kind="stable")[:MOST_CANDIDATES]]
        mine = mine[suppress(boxes[mine], nms_iou)]
        detections.append(Detections(boxes[mine], scores[mine], landmarks[mine]))
    return detections


def decode(
    outputs: Sequence[Floats],
    width: int,
    height: int,
    *,
    score_threshold: float = 0.6,
    nms_iou: float = 0.3,
    scale: tuple[float, float] = (1.0, 1.0),
) -> list[Detections]:
    """Return the faces of every frame of a batch from the model's outputs: ``candidates``, then ``faces``."""
    return faces(candidates(outputs, score_threshold), width, height, nms_iou=nms_iou, scale=scale)


@lru_cache(maxsize=8)
def _grid(width: int, height: int) -> Floats:
    """Return left, top and stride of every prior's cell, shape (P, 3), in the order of the outputs."""
    levels = []
    for stride in STRIDES:
        rows, columns = np.mgrid[0 : height // stride, 0 : width // stride]
        cells = np.stack([columns * stride, rows * stride, np.full_like(rows, stride)], axis=-1)
        levels.append(cells.reshape(-1, 3))
    grid = np.concatenate(levels).astype(np.float32)
    grid.setflags(write=False)
    return grid


def _geometry(bbox: Floats, kps: Floats, grid: Floats) -> tuple[Floats, Floats]:
    """Decode boxes and landmarks.

    Boxes are centre offsets and logarithmic sizes, landmarks are offsets, all in strides of their cell.
    """
    corner, stride = grid[:, :2], grid[:, 2:]
    centre = corner + bbox[:, :2] * stride
    size = np.exp(bbox[:, 2:]) * stride
    landmarks = corner[:, None] + kps.reshape(-1, 5, 2) * stride[:, None]
    return np.concatenate([centre - size / 2, size], axis=1), landmarks


def suppress(boxes: Floats, most_iou: float) -> NDArray[np.intp]:
    """Return the indices of the boxes that greedy non-maximum suppression leaves. ``boxes`` (n, 4) come best first."""
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    common = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    shared = np.prod(np.maximum(common, 0), axis=2)
    area = np.prod(boxes[:, 2:], axis=1)
    rivals = shared > most_iou * (area[:, None] + area - shared)
    alive = np.ones(len(boxes), bool)
    for index in range(len(boxes)):
        if alive[index]:
            alive[index + 1 :] &= ~rivals[index, index + 1 :]
    return np.flatnonzero(alive)
