"""The choice of a model's runtime on a GPU: TensorRT if it works, else ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from engines.errors import DeviceUnavailableError
from engines.inference.build import EngineBuildError, Library, build, find_library
from engines.inference.cache import EngineCache, EngineKey
from engines.inference.cuda import CudaOnnxRuntimeEngine
from engines.inference.device import DeviceEngine
from engines.inference.tensorrt import EngineRefusedError, TensorRtEngine
from engines.settings import DeviceSettings

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EngineDevice:
    """Where a model runs: CUDA's number and the generation ("sm89") of the GPU, and the CUstream."""

    index: int
    target: str
    stream: int


@dataclass(frozen=True, slots=True)
class Chosen:
    """An open engine, and for the report why a better one is not in use."""

    engine: DeviceEngine
    notes: tuple[str, ...] = ()


OpenOrt = Callable[[bytes, EngineDevice], DeviceEngine]


def _open_onnxruntime(model: bytes, device: EngineDevice) -> DeviceEngine:
    """Its outputs hold until the next run: a job reads them on the same stream before."""
    return CudaOnnxRuntimeEngine(model, index=device.index, stream=device.stream, fixed_outputs=True)


def open_engine(
    name: str,
    model: bytes,
    device: EngineDevice,
    settings: DeviceSettings,
    cache: EngineCache,
    *,
    find: Callable[[], Library | None] = find_library,
    open_onnxruntime: OpenOrt = _open_onnxruntime,
) -> Chosen:
    """Open a model on a GPU. An engine that is missing, stale or refused is built again, once.

    Args:
        name: of the model, as in ``build.MODELS``.
        model: the ONNX file.

    Raises:
        DeviceUnavailableError: TensorRT is required and does not work, or no runtime works.
        DeviceOutOfMemoryError: the GPU has no memory left.
    """
    if settings.inference == "onnxruntime":
        return Chosen(open_onnxruntime(model, device))
    try:
        library = _required(find())
        return Chosen(_open_tensorrt(name, model, device, settings.precision, cache, library))
    except (EngineBuildError, EngineRefusedError) as error:
        if settings.inference == "tensorrt":
            raise DeviceUnavailableError(f"inference: tensorrt is set, but {error.message}") from error
        log.info("ONNX Runtime takes the place of TensorRT", model=name, reason=error.message)
        return Chosen(open_onnxruntime(model, device), (f"TensorRT does not run the {name}: {error.message}",))


def _required(library: Library | None) -> Library:
    if library is None:
        raise EngineBuildError("neither TensorRT nor TensorRT for RTX is installed")
    return library


def _open_tensorrt(
    name: str, model: bytes, device: EngineDevice, precision: str, cache: EngineCache, library: Library
) -> TensorRtEngine:
    key = EngineKey.of(name, model, library.name, library.version, precision, device.target)
    plan = cache.load(key)
    if plan is not None:
        try:
            return TensorRtEngine(plan, library, precision=precision, index=device.index, stream=device.stream)
        except EngineRefusedError as error:
            log.warning("engine is built again", model=name, reason=error.message)
    plan = build_and_store(key, model, library, cache)
    return TensorRtEngine(plan, library, precision=precision, index=device.index, stream=device.stream)


def build_and_store(key: EngineKey, model: bytes, library: Library, cache: EngineCache) -> bytes:
    """Build an engine, and store it if the cache can be written.

    Raises:
        EngineBuildError: the library refuses the model or the target.
    """
    plan = build(model, key.target, "fp16" if key.precision == "fp16" else "fp32", library)
    try:
        path = cache.store(key, plan)
        log.info("engine built", model=key.name, target=key.target, precision=key.precision, path=str(path))
    except OSError as error:
        log.warning("engine not kept", model=key.name, directory=str(cache.directory), reason=str(error))
    return plan
