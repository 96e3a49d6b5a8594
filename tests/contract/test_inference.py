"""What every inference engine must do, shown with both models."""

import importlib

import numpy as np
import pytest

from engines.cpu.preprocess import CpuPreprocessor
from engines.errors import EngineError, ModelUnavailableError
from engines.inference.build import EngineBuildError, build, find_library
from engines.inference.cuda import CudaOnnxRuntimeEngine
from engines.inference.onnxruntime import OnnxRuntimeEngine
from engines.inference.tensorrt import TensorRtEngine
from engines.models import face_embedding, yunet
from tests.support.gpu_presence import needs_gpu
from tests.support.still_images import collins, hopper, nv12


def _on_gpu(model, **options):
    return CudaOnnxRuntimeEngine(model, **options)


def _tensorrt(model, precision):
    """An engine built here and now; the GPU at hand decides for which generation."""
    library = find_library()
    target = f"sm{importlib.import_module('cupy').cuda.Device(0).compute_capability}"
    if library is None or (library.is_rtx and not hasattr(library.module.ComputeCapability, target.upper())):
        pytest.skip(f"TensorRT is not installed, or not for {target}")
    return TensorRtEngine(build(model, target, precision, library), library, precision=precision)


def _gpu(make, name):
    return pytest.param(make, id=name, marks=[pytest.mark.gpu, needs_gpu])


ENGINES = [
    pytest.param(lambda model: OnnxRuntimeEngine(model, threads=1), id="onnxruntime-cpu"),
    pytest.param(lambda model: OnnxRuntimeEngine(model, threads=2), id="onnxruntime-cpu-2-threads"),
    _gpu(_on_gpu, "onnxruntime-cuda"),
    _gpu(lambda model: _on_gpu(model, fixed_outputs=True), "onnxruntime-cuda-fixed-outputs"),
    _gpu(lambda model: _on_gpu(model, graphs=True), "onnxruntime-cuda-graphs"),
    _gpu(lambda model: _on_gpu(model, graphs=True, fixed_outputs=True), "onnxruntime-cuda-graphs-fixed-outputs"),
    _gpu(lambda model: _tensorrt(model, "fp32"), "tensorrt-fp32"),
    _gpu(lambda model: _tensorrt(model, "fp16"), "tensorrt-fp16"),
]


@pytest.fixture(params=ENGINES)
def make(request):
    engines = []

    def build(model):
        engines.append(request.param(model))
        return engines[-1]

    yield build
    for engine in engines:
        engine.close()


@pytest.fixture(scope="module")
def images():
    frames = [nv12(collins()), nv12(collins()[:, ::-1]), nv12(hopper()[:512])]
    return CpuPreprocessor().detector_input(frames, 256, 256)


@pytest.mark.parametrize(("batch", "width", "height"), [(1, 640, 384), (3, 320, 192), (2, 32, 64), (8, 192, 320)])
def test_the_detector_takes_any_batch_and_size(make, batch, width, height):
    outputs = make(yunet.load()).run(np.zeros((batch, 3, height, width), np.float32))
    priors = [width * height // stride**2 for stride in yunet.STRIDES]
    expected = [(batch, count, channels) for channels in (1, 1, 4, 10) for count in priors]
    assert [output.shape for output in outputs] == expected
    assert {output.dtype for output in outputs} == {np.dtype(np.float32)}


def test_the_embedding_takes_any_batch(make):
    engine = make(face_embedding.load())
    for batch in (1, 3):
        (output,) = engine.run(np.full((batch, 3, 150, 150), 100, np.float32))
        assert output.shape == (batch, 128)
        assert output.dtype == np.float32


@pytest.mark.parametrize(
    ("load", "shape"),
    [(yunet.load, (3, 192, 320)), (face_embedding.load, (3, 150, 150))],
    ids=["detector", "embedding"],
)
def test_results_are_the_same_bits_whatever_they_are_batched_with(make, load, shape):
    engine = make(load())
    inputs = np.random.default_rng(1).uniform(0, 255, (16, *shape)).astype(np.float32)

    def outputs(together):
        parts = [engine.run(inputs[first : first + together]) for first in range(0, len(inputs), together)]
        return [np.concatenate(kind) for kind in zip(*parts, strict=True)]

    alone = outputs(1)
    for together in (2, 3, 8, 16):
        assert all(np.array_equal(a, b) for a, b in zip(alone, outputs(together), strict=True))


def test_two_engines_agree_on_faces(make, images):
    reference = OnnxRuntimeEngine(yunet.load())
    expected = yunet.decode(reference.run(images), 256, 256)
    found = yunet.decode(make(yunet.load()).run(images), 256, 256)
    assert [len(f.boxes) for f in found] == [1, 1, 1]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.boxes, other.boxes, atol=0.5)
        np.testing.assert_allclose(one.scores, other.scores, atol=0.01)


def test_a_strided_input_is_read_as_it_looks(make, images):
    engine = make(yunet.load())
    wide = np.repeat(images, 2, axis=3)
    np.testing.assert_allclose(engine.run(wide[..., ::2])[0], engine.run(images)[0], atol=1e-6)


def test_an_input_that_does_not_fit_is_an_engine_error(make):
    engine = make(face_embedding.load())
    with pytest.raises(EngineError) as caught:
        engine.run(np.zeros((1, 3, 10, 10), np.float32))
    assert caught.value.code == "INFERENCE_FAILED"
    assert engine.run(np.zeros((1, 3, 150, 150), np.float32))[0].shape == (1, 128)


def test_a_broken_model_is_reported(make):
    with pytest.raises((ModelUnavailableError, EngineBuildError)):
        make(b"this is no model")
