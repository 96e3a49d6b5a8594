"""dlib's face recognition network as an ONNX graph."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from engines.errors import ModelUnavailableError
from engines.models import dlib_weights as dlib
from engines.models.catalogue import DLIB_FACE_RESNET

_OPSET = 17
_IR_VERSION = 8  # every current runtime reads it


def convert(layers: list[dlib.Layer]) -> bytes:
    """Build the ONNX graph of a residual network as dlib describes it.

    Raises:
        ModelUnavailableError: the layers are not those of the face recognition network.
    """
    if not layers or not isinstance(layers[0], dlib.InputImage) or not isinstance(layers[-1], dlib.FullyConnected):
        raise ModelUnavailableError(f"the model {DLIB_FACE_RESNET.name} is not built as expected")
    graph = _Graph()
    value = _normalised(graph, layers[0])
    block = value  # where the current residual block began
    skip = value  # what is added at its end
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
    return graph.serialise(layers[0].width, value)


@dataclass(frozen=True, slots=True)
class _Value:
    """A tensor of the graph: its name, channels and side length; images are square."""

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

    def serialise(self, side: int, result: _Value) -> bytes:
        self.nodes.append(helper.make_node("Identity", [result.name], ["embedding"]))
        chips = helper.make_tensor_value_info("chips", TensorProto.FLOAT, ["batch", 3, side, side])
        embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", result.channels])
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
    """Convert a layer that reads only the one before."""
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
        "Conv",
        value.name,
        graph.constant(layer.filters),
        graph.constant(layer.biases),
        strides=[layer.stride] * 2,
        pads=[layer.padding] * 4,
        kernel_shape=[size] * 2,
    )
    return _Value(name, channels, _steps(value.side, size, layer.stride, layer.padding))


def _pool(graph: _Graph, value: _Value, layer: dlib.Pool) -> _Value:
    if layer.window == 0:
        return _Value(graph.add("GlobalAveragePool", value.name), value.channels, 1)
    name = graph.add(
        "MaxPool" if layer.kind == "max" else "AveragePool",
        value.name,
        kernel_shape=[layer.window] * 2,
        strides=[layer.stride] * 2,
        pads=[layer.padding] * 4,
    )
    return _Value(name, value.channels, _steps(value.side, layer.window, layer.stride, layer.padding))


def _steps(side: int, window: int, stride: int, padding: int) -> int:
    return (side + 2 * padding - window) // stride + 1


def _add(graph: _Graph, a: _Value, b: _Value) -> _Value:
    """Add tensors of different size as dlib does: zeros pad channels, rows and columns at their ends."""
    channels, side = max(a.channels, b.channels), max(a.side, b.side)
    names = (_padded(graph, value, channels, side) for value in (a, b))
    return _Value(graph.add("Add", *names), channels, side)


def _padded(graph: _Graph, value: _Value, channels: int, side: int) -> str:
    missing = np.array([0, 0, 0, 0, 0, channels - value.channels, side - value.side, side - value.side], np.int64)
    if not missing.any():
        return value.name
    return graph.add("Pad", value.name, graph.constant(missing))
