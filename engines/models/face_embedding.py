"""The 128-D face embedding: dlib's ResNet as ONNX, and the alignment of the chips that it was trained on.

King, "High Quality Face Recognition with Deep Metric Learning" (2017): faces of one person are nearer to each
other than 0.6 (Euclidean), those of two people farther apart.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from engines import checked_file
from engines.cache_dir import default_cache_dir
from engines.models.catalogue import DLIB_FACE_RESNET

CHIP_SIZE = 150

# Where YuNet's landmarks lie in a face that dlib's own landmarks put upright, in dlib's normalised coordinates:
# the mean over 98 images of nine people, made symmetric. A quarter of the face is added around it.
_TEMPLATE = ((0.224, 0.205), (0.776, 0.205), (0.500, 0.518), (0.267, 0.764), (0.733, 0.764))
_PADDING = 0.25

_CONVERTER_VERSION = 1  # raise it when the graph changes
NAME = (
    f"dlib-face-resnet-{DLIB_FACE_RESNET.sha256[:12]}-v{_CONVERTER_VERSION}"  # of the cached file that is made from it
)

Floats = NDArray[np.float32]


def load(cache_dir: Path | None = None) -> bytes:
    """Return the model as ONNX, FP32: input (N, 3, 150, 150) RGB 0..255, output (N, 128).

    The converted model is cached in ``cache_dir`` (by default the user's cache) with its checksum.

    Raises:
        ModelUnavailableError: the published file is missing or changed.
    """
    path = (cache_dir or default_cache_dir()) / f"{NAME}.onnx"
    cached = checked_file.read(path)
    if cached is not None:
        return cached
    model = _converted()
    try:
        checked_file.write(path, model)
    except OSError as error:
        structlog.get_logger().info("converted model not kept", path=str(path), reason=str(error))
    return model


def _converted() -> bytes:
    from engines.models import dlib_network, dlib_weights  # noqa: PLC0415 - seldom needed, and onnx loads slowly

    return dlib_network.convert(dlib_weights.read_layers(DLIB_FACE_RESNET.read()))


def chip_transforms(landmarks: Floats, size: int = CHIP_SIZE) -> NDArray[np.float64]:
    """Return the similarity transforms, shape (N, 2, 3), from pixels of a chip to pixels of the frame.

    ``landmarks`` (N, 5, 2) are YuNet's, in pixels of a frame with square pixels. Least squares over the five
    points, in closed form (Umeyama 1991, without reflection).
    """
    chip = (np.array(_TEMPLATE) + _PADDING) / (1 + 2 * _PADDING) * size
    centre = chip.mean(axis=0)
    from_centre = chip - centre
    means = landmarks.mean(axis=1, dtype=np.float64)
    spread = landmarks - means[:, None]
    power = (from_centre**2).sum()
    cos = (spread * from_centre).sum(axis=(1, 2)) / power
    sin = (from_centre[:, 0] * spread[..., 1] - from_centre[:, 1] * spread[..., 0]).sum(axis=1) / power
    linear = np.stack([np.stack([cos, -sin], axis=1), np.stack([sin, cos], axis=1)], axis=1)
    return np.concatenate([linear, (means - linear @ centre)[..., None]], axis=2)
