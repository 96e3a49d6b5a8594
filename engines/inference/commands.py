"""Listing, building and benchmarking of engines, with answers in JSON.

``python -m engines.inference.commands list|build|bench ...``
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from engines.errors import Component, EngineError
from engines.inference.build import MODELS, EngineBuildError, find_library, parse_target
from engines.inference.cache import EngineCache, EngineKey
from engines.inference.onnxruntime import OnnxRuntimeEngine
from engines.inference.select import build_and_store
from engines.json_answer import answer
from engines.models.catalogue import DLIB_FACE_RESNET, YUNET

_PUBLISHED = {"detector": YUNET, "embedder": DLIB_FACE_RESNET}
_INPUTS = {"detector": (3, 384, 640), "embedder": (3, 150, 150)}
_BATCHES = (1, 8, 32)
_MEASURED_S = 0.5


def list_all(cache: EngineCache) -> dict[str, Any]:
    """Return the models with their origin, the library, and every engine in the cache with its state."""
    library = find_library()
    models = [_model(name) for name in MODELS]
    current = {model["name"]: model["onnx_sha256"] for model in models}
    return {
        "models": models,
        "library": None if library is None else {"name": library.name, "version": library.version},
        "directory": str(cache.directory),
        "engines": [
            {
                "name": entry.key.name,
                "library": entry.key.library,
                "version": entry.key.version,
                "precision": entry.key.precision,
                "target": entry.key.target,
                "size_bytes": entry.size_bytes,
                "sha256": entry.sha256,
                "built_at": entry.built_at,
                "state": _state(entry.intact, entry.key, current, library.version if library else ""),
            }
            for entry in cache.entries()
        ],
    }


def _model(name: str) -> dict[str, Any]:
    published = _PUBLISHED[name]
    onnx = MODELS[name]()
    return {
        "name": name,
        "title": published.name,
        "licence": published.licence,
        "sha256": published.sha256,
        "onnx_bytes": len(onnx),
        "onnx_sha256": hashlib.sha256(onnx).hexdigest(),
    }


def _state(intact: bool, key: EngineKey, current: dict[str, str], version: str) -> str:
    if not intact:
        return "damaged"
    return "good" if current.get(key.name) == key.model_sha256 and key.version == version else "stale"


def build_all(cache: EngineCache, targets: list[str], precision: str) -> list[dict[str, Any]]:
    """Build every model for every target.

    Args:
        targets: GPU generations; if empty, that of the first GPU here.

    Raises:
        EngineBuildError: no library is installed, or a model or target is refused.
    """
    library = find_library()
    if library is None:
        raise EngineBuildError(
            "Neither TensorRT nor TensorRT for RTX is installed",
            remedy="Install tensorrt-rtx-cu13-bindings and tensorrt-rtx-cu13-libs.",
            component=Component.LIBRARIES,
        )
    checked = [parse_target(target) for target in targets or [_target() or ""]]
    done = []
    for name, load in MODELS.items():
        model = load()
        for target in checked:
            begin = time.perf_counter()
            key = EngineKey.of(name, model, library.name, library.version, precision, target)
            plan = build_and_store(key, model, library, cache)
            done.append({
                "name": name, "target": target, "precision": precision, "library": f"{library.name} {library.version}",
                "size_bytes": len(plan), "seconds": round(time.perf_counter() - begin, 2),
                "path": str(cache.directory / key.filename),
            })  # fmt: skip
    return done


def bench(cache: EngineCache) -> list[dict[str, Any]]:
    """Return inputs per second of every model in every runtime that works here, and why others do not."""
    return [row for name, load in MODELS.items() for row in _bench_model(name, load(), cache)]


def _bench_model(name: str, model: bytes, cache: EngineCache) -> Iterator[dict[str, Any]]:
    for runtime, open_one in _runtimes(name, model, cache).items():
        try:
            engine = open_one()
        except EngineError as error:
            yield {"name": name, "runtime": runtime, "error": error.message}
            continue
        speeds = {batch: _speed(engine, (batch, *_INPUTS[name])) for batch in _BATCHES}
        engine.close()
        yield {"name": name, "runtime": runtime, "per_second": speeds}


def _runtimes(name: str, model: bytes, cache: EngineCache) -> dict[str, Callable[[], Any]]:
    """Return what opens each runtime; those of a GPU only if there is one."""
    found: dict[str, Callable[[], Any]] = {"onnxruntime-cpu": lambda: OnnxRuntimeEngine(model, threads=1)}
    target = _target()
    if target is None:
        return found
    from engines.inference.cuda import CudaOnnxRuntimeEngine  # noqa: PLC0415
    from engines.inference.select import EngineDevice, open_engine  # noqa: PLC0415  needs CuPy
    from engines.settings import DeviceSettings  # noqa: PLC0415

    found["onnxruntime-cuda"] = lambda: CudaOnnxRuntimeEngine(model)
    found["onnxruntime-cuda, CUDA graphs"] = lambda: CudaOnnxRuntimeEngine(model, graphs=True)
    settings = DeviceSettings(inference="tensorrt")
    found["tensorrt"] = lambda: open_engine(name, model, EngineDevice(0, target, 0), settings, cache).engine
    return found


def _target() -> str | None:
    try:
        import cupy  # noqa: PLC0415

        return f"sm{cupy.cuda.Device(0).compute_capability}"
    except Exception:  # no package, no driver or no GPU: CuPy's errors have no common base
        return None


def _speed(engine: Any, shape: tuple[int, ...]) -> float:
    """Return inputs per second, from inputs in the engine's memory to computed outputs."""
    given: Any = np.random.default_rng(1).uniform(0, 255, shape).astype(np.float32)
    wait = _nothing
    if not isinstance(engine, OnnxRuntimeEngine):
        import cupy  # noqa: PLC0415

        given, wait = cupy.asarray(given), cupy.cuda.Device().synchronize
    for _ in range(3):
        engine.run(given)
    wait()
    begin, runs = time.perf_counter(), 0
    while time.perf_counter() - begin < _MEASURED_S:
        for _ in range(5):
            engine.run(given)
        wait()
        runs += 5
    return round(runs * shape[0] / (time.perf_counter() - begin), 1)


def _nothing() -> None:
    """The host's engines are done when they return."""


def main() -> None:
    command, directory, *rest = sys.argv[1:]
    cache = EngineCache(Path(directory) if directory else None)
    work: dict[str, Callable[[], Any]] = {
        "list": lambda: list_all(cache),
        "build": lambda: build_all(cache, [target for target in rest[1:] if target], rest[0]),
        "bench": lambda: bench(cache),
    }
    answer(work[command])


if __name__ == "__main__":
    main()
