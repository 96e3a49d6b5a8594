"""The 128-D face embedding: dlib's ResNet as ONNX, and the alignment of the chips that it was trained on.

King, "High Quality Face Recognition with Deep Metric Learning" (2017): faces of one person are nearer to each
other than 0.6 (Euclidean), those of two people farther apart.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import structlog
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from engines.cache_dir import default_cache_dir
from engines.errors import ModelUnavailableError
from engines.models import dlib_weights as dlib
from engines.models.catalogue import DLIB_FACE_RESNET

CHIP_SIZE = 150
DIMENSIONS = 128
SAME_PERSON = 0.6                 # largest distance between two faces of one person

# Where YuNet's landmarks lie in a face that dlib's own landmarks put upright, in dlib's normalised coordinates:
# the mean over 98 pictures of nine people, made symmetric. A quarter of the face is added around it.
_TEMPLATE = ((0.224, 0.205), (0.776, 0.205), (0.500, 0.518), (0.267, 0.764), (0.733, 0.764))
_PADDING = 0.25

_OPSET = 17
_IR_VERSION = 8                   # read by every runtime of the last years
_CONVERTER_VERSION = 1            # part of the cached file's name: raise it when the graph changes

Floats = NDArray[np.float32]


def load(cache_dir: Path | None = None) -> bytes:
    """The model as ONNX, FP32: input (N, 3, 150, 150) RGB 0..255, output (N, 128).

    The converted model is kept in ``cache_dir`` (by default the user's cache) beside its checksum.

    Raises:
        ModelUnavailableError: the published file is missing or changed.
    """
    directory = cache_dir or default_cache_dir()
    path = directory / f"dlib-face-resnet-{DLIB_FACE_RESNET.sha256[:12]}-v{_CONVERTER_VERSION}.onnx"
    cached = _read_cached(path)
    if cached is not None:
        return cached
    model = convert(dlib.read_layers(DLIB_FACE_RESNET.read()))
    try:
        _keep(path, model)
    except OSError as error:
        structlog.get_logger().info("converted model not cached", path=str(path), reason=str(error))
    return model


def chip_transforms(landmarks: Floats, size: int = CHIP_SIZE) -> NDArray[np.float64]:
    """The similarities, shape (N, 2, 3), that take pixels of a chip to pixels of the picture.

    ``landmarks`` (N, 5, 2) are YuNet's, in pixels of a picture with square pixels. Least squares over the five
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


def _read_cached(path: Path) -> bytes | None:
    """The cached model, or None where there is none or it is not what was written."""
    try:
        content, checksum = path.read_bytes(), _checksum_path(path).read_text()
    except (OSError, UnicodeDecodeError):
        return None
    return content if hashlib.sha256(content).hexdigest() == checksum.strip() else None


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_atomically(_checksum_path(path), hashlib.sha256(content).hexdigest().encode() + b"\n")
    _write_atomically(path, content)


def _checksum_path(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _write_atomically(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def convert(layers: list[dlib.Layer]) -> bytes:
    """Build the ONNX graph of a residual network as dlib describes it.

    Raises:
        ModelUnavailableError: the layers are not those of the face recognition network.
    """
    if not layers or not isinstance(layers[0], dlib.InputImage) or not isinstance(layers[-1], dlib.FullyConnected):
        raise ModelUnavailableError(f"the model {DLIB_FACE_RESNET.name} is not built as expected")
    graph = _Graph()
    value = _normalised(graph, layers[0])
    block = value                 # where the current residual block began
    skip = value                  # what its end adds
    for before, layer in pairwise(layers):
        match layer:
            case dlib.Pool(kind="avg", window=window) if window > 0:
                skip = _pool(graph, block, layer)
            case dlib.AddSkip():
                value = _add(graph, value, skip)
            case _:
                value = _plain(graph, value, layer)
        if isinstance(before, dlib.AddSkip) or (isinstance(layer, dlib.Pool) and layer.kind == "max"):
            block = skip = value
    return graph.serialise(value)


@dataclass(frozen=True, slots=True)
class _Value:
    """A tensor of the graph: its name, channels and side length; pictures are square."""

    name: str
    channels: int
    side: int


@dataclass(slots=True)
class _Graph:
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name, **attributes))
        return name

    def constant(self, value: NDArray[Any]) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def serialise(self, result: _Value) -> bytes:
        self.nodes.append(helper.make_node("Identity", [result.name], ["embedding"]))
        chips = helper.make_tensor_value_info("chips", TensorProto.FLOAT, ["batch", 3, CHIP_SIZE, CHIP_SIZE])
        embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", DIMENSIONS])
        graph = helper.make_graph(self.nodes, "dlib_face_resnet", [chips], [embedding], self.constants)
        opset = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=_IR_VERSION, producer_name="dualface")
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())


def _normalised(graph: _Graph, image: dlib.InputImage) -> _Value:
    mean = graph.constant(np.array(image.mean, np.float32).reshape(1, 3, 1, 1))
    scale = graph.constant(np.float32(1 / 256).reshape(1, 1, 1, 1))
    return _Value(graph.add("Mul", graph.add("Sub", "chips", mean), scale), 3, image.width)


def _plain(graph: _Graph, value: _Value, layer: dlib.Layer) -> _Value:
    """Layers that read only the one before."""
    match layer:
        case dlib.Convolution():
            return _convolution(graph, value, layer)
        case dlib.Affine(gamma=gamma, beta=beta):
            scaled = graph.add("Mul", value.name, graph.constant(gamma.reshape(1, -1, 1, 1)))
            shifted = graph.add("Add", scaled, graph.constant(beta.reshape(1, -1, 1, 1)))
            return _Value(shifted, value.channels, value.side)
        case dlib.Relu():
            return _Value(graph.add("Relu", value.name), value.channels, value.side)
        case dlib.Pool():
            return _pool(graph, value, layer)
        case dlib.FullyConnected(weights=weights):
            flat = graph.add("Flatten", value.name)
            return _Value(graph.add("MatMul", flat, graph.constant(weights)), weights.shape[1], 1)
    raise ModelUnavailableError(f"the model {DLIB_FACE_RESNET.name} has an unexpected {type(layer).__name__}")


def _convolution(graph: _Graph, value: _Value, layer: dlib.Convolution) -> _Value:
    channels, _, size, _ = layer.filters.shape
    name = graph.add(
        "Conv", value.name, graph.constant(layer.filters), graph.constant(layer.biases),
        strides=[layer.stride] * 2, pads=[layer.padding] * 4, kernel_shape=[size] * 2,
    )
    return _Value(name, channels, _steps(value.side, size, layer.stride, layer.padding))


def _pool(graph: _Graph, value: _Value, layer: dlib.Pool) -> _Value:
    if layer.window == 0:
        return _Value(graph.add("GlobalAveragePool", value.name), value.channels, 1)
    name = graph.add(
        "MaxPool" if layer.kind == "max" else "AveragePool", value.name,
        kernel_shape=[layer.window] * 2, strides=[layer.stride] * 2, pads=[layer.padding] * 4,
    )
    return _Value(name, value.channels, _steps(value.side, layer.window, layer.stride, layer.padding))


def _steps(side: int, window: int, stride: int, padding: int) -> int:
    return (side + 2 * padding - window) // stride + 1


def _add(graph: _Graph, a: _Value, b: _Value) -> _Value:
    """dlib's sum of tensors of different size: zeros fill up channels, rows and columns at their far ends."""
    channels, side = max(a.channels, b.channels), max(a.side, b.side)
    names = (_padded(graph, value, channels, side) for value in (a, b))
    return _Value(graph.add("Add", *names), channels, side)


def _padded(graph: _Graph, value: _Value, channels: int, side: int) -> str:
    missing = np.array([0, 0, 0, 0, 0, channels - value.channels, side - value.side, side - value.side], np.int64)
    if not missing.any():
        return value.name
    return graph.add("Pad", value.name, graph.constant(missing))
