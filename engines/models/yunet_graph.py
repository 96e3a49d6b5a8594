"""YuNet's ONNX graph, changed to accept batches and frames of any size."""

from __future__ import annotations

import onnx
from onnx import numpy_helper

from engines.errors import ModelUnavailableError
from engines.models.catalogue import YUNET

_RESHAPES = ("290", "362", "395")


def with_free_sizes(published: bytes) -> bytes:
    """Return the model, which is published for one image of 640x640, without that limit.

    Raises:
        ModelUnavailableError: it is not built as expected.
    """
    model = onnx.load_model_from_string(published)
    _free_reshapes(model.graph)
    del model.graph.value_info[:]
    _free_dims(model.graph.input[0], {0: "batch", 2: "height", 3: "width"})
    for output in model.graph.output:
        _free_dims(output, {0: "batch", 1: "priors_" + output.name.rpartition("_")[2]})
    return bytes(model.SerializeToString())


def _free_reshapes(graph: onnx.GraphProto) -> None:
    """Set the batch in the shape constants from 1 to 0, which means the input's own size."""
    found = [tensor for tensor in graph.initializer if tensor.name in _RESHAPES]
    if len(found) != len(_RESHAPES):
        raise ModelUnavailableError(f"the model {YUNET.name} is not built as expected")
    for tensor in found:
        shape = numpy_helper.to_array(tensor).copy()
        shape[0] = 0
        tensor.CopyFrom(numpy_helper.from_array(shape, tensor.name))


def _free_dims(value: onnx.ValueInfoProto, names: dict[int, str]) -> None:
    for index, name in names.items():
        value.type.tensor_type.shape.dim[index].dim_param = name
