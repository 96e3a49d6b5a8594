"""Engines are really built, for GPUs that are not here; and a model always gets an engine that runs, or an error."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from engines.errors import DeviceUnavailableError
from engines.inference import select as choose
from engines.inference.build import (
    MODELS,
    EngineBuildError,
    Library,
    build,
    find_library,
    half_precision,
    parse_target,
)
from engines.inference.cache import EngineCache, EngineKey
from engines.inference.onnxruntime import OnnxRuntimeEngine
from engines.inference.select import EngineDevice, open_engine
from engines.inference.tensorrt import EngineRefusedError, TensorRtEngine
from engines.models import face_embedding, yunet
from engines.settings import DeviceSettings
from tests.support.still_images import collins, hopper, nv12

ADA = EngineDevice(0, "sm89", 0)
HOPPER = EngineDevice(0, "sm90", 0)


@pytest.fixture(scope="module")
def library() -> Library:
    found = find_library()
    assert found is not None, "install tensorrt-rtx-cu13-bindings and tensorrt-rtx-cu13-libs, as the test extra does"
    return found


@pytest.fixture(scope="module")
def detector() -> bytes:
    return MODELS["detector"]()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("target", ["sm89", "sm120"])
def test_engines_are_built_without_a_gpu(library: Library, name: str, target: str) -> None:
    assert len(build(MODELS[name](), target, "fp16", library)) > 500_000


def test_a_generation_that_rtx_does_not_know_is_refused_with_those_it_knows(library: Library, detector: bytes) -> None:
    with pytest.raises(EngineBuildError, match="no sm90") as caught:
        build(detector, "sm90", "fp32", library)
    assert "sm120" in caught.value.remedy


def test_what_is_no_model_is_refused(library: Library) -> None:
    with pytest.raises(EngineBuildError):
        build(b"this is no model", "sm89", "fp32", library)
    with pytest.raises(EngineBuildError):
        half_precision(b"this is no model")


@pytest.mark.parametrize(("text", "target"), [("sm89", "sm89"), (" SM120 ", "sm120")])
def test_targets_are_gpu_generations(text: str, target: str) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize("text", ["", "89", "sm8.9", "ada", "sm89,sm120"])
def test_other_words_are_no_targets(text: str) -> None:
    with pytest.raises(EngineBuildError):
        parse_target(text)


def test_half_precision_finds_the_same_faces_in_the_same_places(detector: bytes) -> None:
    """The model that engines compute in 16 bits, run by ONNX Runtime on the CPU."""
    from engines.cpu.preprocess import CpuPreprocessor  # noqa: PLC0415

    frames = [nv12(collins()), nv12(hopper()[:512])]
    images = CpuPreprocessor().detector_input(frames, 256, 256)
    exact = yunet.decode(OnnxRuntimeEngine(detector).run(images), 256, 256)
    rough = yunet.decode(OnnxRuntimeEngine(half_precision(detector)).run(images), 256, 256)
    for one, other in zip(exact, rough, strict=True):
        np.testing.assert_allclose(one.boxes, other.boxes, atol=0.5)
        np.testing.assert_allclose(one.scores, other.scores, atol=0.01)


def test_half_precision_tells_the_same_people_apart() -> None:
    model = face_embedding.load()
    chips = np.random.default_rng(2).uniform(0, 255, (3, 3, 150, 150)).astype(np.float32)
    exact = OnnxRuntimeEngine(model).run(chips)[0]
    rough = OnnxRuntimeEngine(half_precision(model)).run(chips)[0]
    assert np.linalg.norm(exact - rough, axis=1).max() < 0.02


def test_an_engine_that_the_library_does_not_take_is_refused(library: Library, detector: bytes) -> None:
    """Without a driver every engine is refused; cut off, one is refused everywhere."""
    plan = build(detector, "sm89", "fp16", library)
    with pytest.raises(EngineRefusedError) as caught:
        TensorRtEngine(plan[: len(plan) // 2], library, precision="fp16")
    assert "tensorrt-rtx-fp16 does not take the engine" in caught.value.message
    assert "again" in caught.value.remedy


def open_with(
    cache: EngineCache, detector: bytes, device: EngineDevice, find: Any, inference: str = "auto"
) -> choose.Chosen:
    """As on a GPU, but that ONNX Runtime runs on the CPU where it takes over."""
    settings = DeviceSettings.model_validate({"inference": inference})
    runtime: Any = lambda model, *_: OnnxRuntimeEngine(model)  # noqa: E731
    return open_engine("detector", detector, device, settings, cache, find=find, open_onnxruntime=runtime)


def runs(engine: Any) -> bool:
    return len(engine.run(np.zeros((1, 3, 64, 64), np.float32))) == 12


def test_a_gpu_that_tensorrt_does_not_know_gets_onnxruntime_and_a_note(detector: bytes, tmp_path: Path) -> None:
    """An H200 with TensorRT for RTX."""
    with capture_logs() as lines:
        chosen = open_with(EngineCache(tmp_path), detector, HOPPER, find_library)
    assert runs(chosen.engine)
    assert chosen.notes == ("TensorRT does not run the detector: TensorRT for RTX knows no sm90",)
    assert lines[-1]["event"] == "ONNX Runtime takes the place of TensorRT"


def test_a_refused_engine_is_built_again_once_then_passed_over(
    library: Library, detector: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []

    def counted(model: bytes, target: str, precision: Any, with_library: Library) -> bytes:
        built.append(target)
        return build(model, target, precision, with_library)

    monkeypatch.setattr(choose, "build", counted)
    cache = EngineCache(tmp_path)
    key = EngineKey.of("detector", detector, library.name, library.version, "fp16", "sm89")
    cache.store(key, b"this was an engine")
    with capture_logs() as lines:
        chosen = open_with(cache, detector, ADA, find_library)
    assert runs(chosen.engine)
    assert built == ["sm89"]
    assert [line["event"] for line in lines if line["log_level"] in ("info", "warning")] == [
        "engine is built again", "engine built", "ONNX Runtime takes the place of TensorRT",
    ]  # fmt: skip
    assert "does not take the engine" in chosen.notes[0]
    content = cache.load(key)
    assert content is not None
    assert len(content) > 500_000


def test_a_cache_that_cannot_be_written_stops_nothing(detector: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with capture_logs() as lines:
        assert runs(open_with(EngineCache(tmp_path / "file"), detector, ADA, find_library).engine)
    assert "engine not kept" in [line["event"] for line in lines]


def test_without_tensorrt_onnxruntime_runs_and_says_so(detector: bytes, tmp_path: Path) -> None:
    chosen = open_with(EngineCache(tmp_path), detector, ADA, lambda: None)
    assert runs(chosen.engine)
    assert "neither TensorRT nor TensorRT for RTX is installed" in chosen.notes[0]


def test_tensorrt_is_never_replaced_silently(detector: bytes, tmp_path: Path) -> None:
    with pytest.raises(DeviceUnavailableError, match="inference: tensorrt is set"):
        open_with(EngineCache(tmp_path), detector, HOPPER, find_library, "tensorrt")


def test_onnxruntime_on_demand_asks_nobody_else(detector: bytes, tmp_path: Path) -> None:
    chosen = open_with(EngineCache(tmp_path), detector, ADA, lambda: pytest.fail("it looked"), "onnxruntime")
    assert (runs(chosen.engine), chosen.notes) == (True, ())


def test_the_library_is_whichever_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Full TensorRT first; RTX under either of the names that its packages give it."""
    installed: dict[str, ModuleType] = {}

    def load(name: str) -> ModuleType:
        if name not in installed:
            raise ImportError(name)
        return installed[name]

    monkeypatch.setattr("engines.inference.build.importlib", SimpleNamespace(import_module=load))
    assert find_library() is None
    for name, is_rtx in (("tensorrt_rtx_bindings", True), ("tensorrt_rtx", True), ("tensorrt", False)):
        installed[name] = ModuleType(name)
        installed[name].__dict__["__version__"] = "11.0"
        found = find_library()
        assert found is not None
        assert (found.module.__name__, found.is_rtx, found.version) == (name, is_rtx, "11.0")
