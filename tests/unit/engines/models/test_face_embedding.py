"""The face embedding: its weights as dlib wrote them, its numbers as dlib computes them, and who looks like whom."""

import dlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.cache_dir import default_cache_dir
from engines.cpu.preprocess import CpuPreprocessor
from engines.errors import ModelUnavailableError
from engines.inference.onnxruntime import OnnxRuntimeEngine
from engines.models import dlib_network, dlib_weights, face_embedding, yunet
from engines.models.catalogue import DLIB_FACE_RESNET, Model
from tests.support.faces import variants
from tests.support.still_images import collins, hopper, nv12

LANDMARKS_BY_DLIB = Model(
    "dlib shape predictor", "CC0-1.0", "", DLIB_FACE_RESNET.distribution, "shape_predictor_5_face_landmarks.dat"
)
SAME_PERSON = 0.6  # dlib's threshold of the distance between two faces of one person


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return face_embedding.load(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def embed(model):
    engine = OnnxRuntimeEngine(model)
    return lambda chips: engine.run(chips)[0]


@pytest.fixture(scope="module")
def chips():
    """For both people, the aligned chips of all variants, as the service makes them."""
    detector, preprocessor = OnnxRuntimeEngine(yunet.load()), CpuPreprocessor()
    return [
        {name: _chip(detector, preprocessor, image) for name, image in variants(person).items()}
        for person in (collins(), hopper())
    ]


def _chip(detector, preprocessor, image):
    frame = nv12(image)
    aspect = frame.width / frame.height
    width, height = yunet.input_size(aspect, 640)
    content = yunet.content_size(aspect, width, height)
    outputs = detector.run(preprocessor.detector_input([frame], width, height))
    scale = frame.width / content[0], frame.height / content[1]
    (found,) = yunet.decode(outputs, width, height, scale=scale)
    return preprocessor.aligned_chips([frame], found.landmarks[:1], face_embedding.CHIP_SIZE)[0]


def test_numbers_are_those_of_dlib(embed, chips):
    reference = dlib.face_recognition_model_v1(str(DLIB_FACE_RESNET.locate()))
    everything = np.rint(np.stack([chip for person in chips for chip in person.values()]))
    expected = [reference.compute_face_descriptor(_as_dlib_sees(chip)) for chip in everything]
    assert np.abs(embed(everything) - np.array(expected)).max() < 1e-3


def _as_dlib_sees(chip):
    return np.ascontiguousarray(chip.transpose(1, 2, 0).astype(np.uint8))


def test_one_person_stays_near_and_two_stay_apart(embed, chips):
    first, second = (embed(np.stack(list(person.values()))) for person in chips)
    for own in (first, second):
        assert _distances(own, own).max() < SAME_PERSON
    apart = _distances(first, second)
    assert apart.mean() > SAME_PERSON
    assert apart.min() > max(_distances(own, own).max() for own in (first, second)) + 0.1


def _distances(a, b):
    return np.linalg.norm(a[:, None] - b, axis=2)


@pytest.mark.parametrize("person", [0, 1])
def test_chips_are_those_that_dlib_cuts_out(chips, embed, person):
    """dlib finds and aligns the face by itself; its chip must mean the same to the network."""
    image = np.ascontiguousarray((collins(), hopper())[person][..., ::-1])
    predictor = dlib.shape_predictor(str(LANDMARKS_BY_DLIB.locate()))
    (face,) = dlib.get_frontal_face_detector()(image)
    theirs = dlib.get_face_chip(image, predictor(image, face)).transpose(2, 0, 1).astype(np.float32)
    near, far = embed(np.stack([chips[person]["plain"], chips[1 - person]["plain"]]))
    (reference,) = embed(theirs[None])
    assert np.linalg.norm(reference - near) < 0.3
    assert np.linalg.norm(reference - far) > 0.55


@given(st.floats(-3, 3), st.floats(0.2, 9), st.floats(-500, 500), st.floats(-500, 500))
def test_alignment_undoes_any_turn_size_and_place(angle, scale, x, y):
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    chip = (np.array(face_embedding._TEMPLATE) + 0.25) / 1.5 * 150
    landmarks = (chip @ turn.T + [x, y])[None]
    (found,) = face_embedding.chip_transforms(landmarks)
    np.testing.assert_allclose(found, np.column_stack([turn, [x, y]]), atol=1e-6)


def test_the_network_is_read_whole():
    layers = dlib_weights.read_layers(DLIB_FACE_RESNET.read())
    kinds = [type(layer) for layer in layers]
    assert kinds.count(dlib_weights.Convolution) == kinds.count(dlib_weights.Affine) == 29
    assert kinds.count(dlib_weights.AddSkip) == 14
    assert (kinds[0], kinds[-1]) == (dlib_weights.InputImage, dlib_weights.FullyConnected)
    assert (layers[0].height, layers[0].width) == (150, 150)


def test_a_damaged_file_is_refused():
    content = DLIB_FACE_RESNET.read()
    with pytest.raises(ModelUnavailableError):
        dlib_weights.read_layers(content[:400_000])
    with pytest.raises(ModelUnavailableError):
        dlib_network.convert(dlib_weights.read_layers(b"nothing of dlib's"))


def test_the_converted_model_is_kept_with_its_checksum(tmp_path, model):
    assert face_embedding.load(tmp_path) == model
    (kept,) = tmp_path.glob("*.onnx")
    written = kept.stat().st_mtime_ns
    assert face_embedding.load(tmp_path) == model
    assert kept.stat().st_mtime_ns == written
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("suffix", [".onnx", ".sha256"])
def test_a_damaged_cache_is_replaced(tmp_path, model, suffix):
    face_embedding.load(tmp_path)
    (kept,) = tmp_path.glob("*" + suffix)
    intact = kept.read_bytes()
    kept.write_bytes(b"\xff" + intact[1:])
    assert face_embedding.load(tmp_path) == model
    assert kept.read_bytes() == intact


def test_no_place_for_the_cache_is_no_obstacle(tmp_path, model):
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    assert face_embedding.load(blocked / "cache") == model


def test_the_cache_follows_the_environment(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("CACHE_DIRECTORY", raising=False)
    assert str(default_cache_dir()) == "/home/somebody/.cache/dualface"
    monkeypatch.setenv("XDG_CACHE_HOME", "/big/cache")
    assert str(default_cache_dir()) == "/big/cache/dualface"
    monkeypatch.setenv("CACHE_DIRECTORY", "/var/cache/service:/var/cache/other")
    assert str(default_cache_dir()) == "/var/cache/service/dualface"
