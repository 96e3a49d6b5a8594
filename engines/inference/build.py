"""Build TensorRT engines: half precision, ranges of batches and sizes, and one GPU generation at a time.

TensorRT 11 and TensorRT for RTX only have strongly typed networks: they compute with the types of the model's tensors.
So half precision needs a model in half precision, whose inputs and outputs stay in single.
"""

from __future__ import annotations

import functools
import importlib
import re
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import onnx
import structlog

from engines.errors import Component, EngineError
from engines.models import face_embedding, yunet

Precision = Literal["fp16", "fp32"]

# The models by the name of their engines.
MODELS: dict[str, Callable[[], bytes]] = {"detector": yunet.load, "embedder": face_embedding.load}

# Smallest, usual and largest size of an input's free axes, by their names in the model.
RANGES: dict[str, tuple[int, int, int]] = {
    "batch": (1, 8, 32),
    "height": (32, 384, 1920),
    "width": (32, 640, 1920),
}
_LIBRARIES = ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings")

log = structlog.get_logger(__name__)


class EngineBuildError(EngineError):
    code = "ENGINE_BUILD_FAILED"
    remedy = "Nothing is lost: ONNX Runtime runs the model instead."
    component = Component.TENSORRT_ENGINES
    environmental = True


@dataclass(frozen=True, slots=True)
class Library:
    """TensorRT or TensorRT for RTX, whichever is installed. With ``is_rtx`` it builds for absent GPUs too."""

    module: ModuleType
    is_rtx: bool

    @property
    def name(self) -> str:
        return "tensorrt-rtx" if self.is_rtx else "tensorrt"

    @property
    def version(self) -> str:
        return str(self.module.__version__)


def find_library() -> Library | None:
    """Return the installed library, TensorRT before TensorRT for RTX; None without either."""
    for name in _LIBRARIES:
        try:
            return Library(importlib.import_module(name), is_rtx="rtx" in name)
        except (ImportError, OSError):  # a shared object may lack another one
            continue
    return None


def parse_target(text: str) -> str:
    """Return a GPU generation, "sm89" (compute capability 8.9) or "sm120" (12.0), after a check.

    Raises:
        EngineBuildError: the text is not one.
    """
    target = text.strip().lower()
    if not re.fullmatch(r"sm\d{2,3}", target):
        what = f"'{text}' is no target" if target else "There is no GPU here to build for"
        raise EngineBuildError(what, remedy="Name targets as sm89 or sm120, separated by commas.")
    return target


def half_precision(model: bytes) -> bytes:
    """Return the model with weights and arithmetic in 16 bits; inputs and outputs stay in 32.

    Raises:
        EngineBuildError: the converter is missing or refuses the model.
    """
    try:
        converter = importlib.import_module("onnxconverter_common.float16")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # weights below the smallest 16-bit number become that number or 0
            converted = converter.convert_float_to_float16(onnx.load_model_from_string(model), keep_io_types=True)
    except Exception as error:  # the converter's exceptions have no common base
        raise EngineBuildError(f"The model cannot be converted to half precision: {error}") from error
    return bytes(converted.SerializeToString())


def build(model: bytes, target: str, precision: Precision, library: Library) -> bytes:
    """Build the engine of an ONNX model for one GPU generation.

    TensorRT for RTX builds for any generation that it supports, also without a GPU; TensorRT only for the present GPU.

    Raises:
        EngineBuildError: the library refuses the model or the target; the message has its reason.
    """
    trt = library.module
    graph = _graph(model)
    logger = trt_logger(trt)
    builder = trt.Builder(logger.sink)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger.sink)
    if not parser.parse(half_precision(model) if precision == "fp16" else model):
        raise EngineBuildError(f"{library.name} cannot read the model: {parser.get_error(0).desc()}")
    config = builder.create_builder_config()
    config.add_optimization_profile(_profile(builder, graph))
    if library.is_rtx:
        _aim(config, target, trt)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise EngineBuildError(f"{library.name} {library.version} built no engine for {target}: {logger.last_error()}")
    return bytes(engine)


def _aim(config: Any, target: str, trt: ModuleType) -> None:
    capability = getattr(trt.ComputeCapability, target.upper(), None)
    if capability is None:
        known = [n.lower() for n in dir(trt.ComputeCapability) if n.startswith("SM")]
        raise EngineBuildError(f"TensorRT for RTX knows no {target}", remedy=f"It knows {', '.join(sorted(known))}.")
    config.num_compute_capabilities = 1
    if not config.set_compute_capability(capability, 0):
        raise EngineBuildError(f"TensorRT for RTX does not build for {target}")


def _graph(model: bytes) -> onnx.GraphProto:
    try:
        return onnx.load_model_from_string(model).graph
    except Exception as error:  # protobuf's own
        raise EngineBuildError(f"This is no ONNX model: {error}") from error


def _profile(builder: Any, graph: onnx.GraphProto) -> Any:
    profile = builder.create_optimization_profile()
    constants = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        if value.name not in constants:
            dims = value.type.tensor_type.shape.dim
            sizes = [RANGES[d.dim_param] if d.dim_param else (d.dim_value,) * 3 for d in dims]
            profile.set_shape(value.name, *zip(*sizes, strict=True))
    return profile


@functools.cache
def trt_logger(trt: ModuleType) -> TrtLogger:
    """Return the process's logger: the library uses the first that it gets, and ignores all others."""
    return TrtLogger(trt)


class TrtLogger:
    """Stores the library's last error for our messages, and passes its lines on to the journal."""

    def __init__(self, trt: ModuleType) -> None:
        self._errors = threading.local()
        self._severity = trt.ILogger.Severity
        owner = self

        def initialise(sink: Any) -> None:
            trt.ILogger.__init__(sink)

        def take(_: Any, level: Any, message: str) -> None:
            owner.take(level, message)

        # The base class exists only once the library is loaded.
        self.sink = type("Sink", (trt.ILogger,), {"__init__": initialise, "log": take})()

    def last_error(self) -> str:
        """Return the last error in this thread, and forget it."""
        words, self._errors.words = getattr(self._errors, "words", ""), ""
        return words or "it gave no reason"

    def take(self, level: Any, message: str) -> None:
        if level in (self._severity.ERROR, self._severity.INTERNAL_ERROR):
            self._errors.words = message
            log.debug("TensorRT complains", text=message)
        elif level == self._severity.WARNING:
            log.debug("TensorRT warns", text=message)
