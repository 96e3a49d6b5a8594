"""The detector's geometry and its outputs, against OpenCV's own reading of the same model."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from engines.errors import ModelUnavailableError
from engines.inference.onnxruntime import OnnxRuntimeEngine
from engines.models import yunet
from engines.models.catalogue import DLIB_FACE_RESNET, YUNET, Model
from tests.support.still_images import collins, hopper


@pytest.fixture(scope="module")
def engine():
    return OnnxRuntimeEngine(yunet.load())


def _tensor(*frames: np.ndarray) -> np.ndarray:
    return np.stack([frame.transpose(2, 0, 1) for frame in frames]).astype(np.float32)


def _by_opencv(frame: np.ndarray, threshold: float) -> np.ndarray:
    size = frame.shape[1], frame.shape[0]
    found = cv2.FaceDetectorYN.create(str(YUNET.locate()), "", size, threshold, 0.3, 5000).detect(frame)[1]
    return found[np.argsort(-found[:, 14])]


@pytest.mark.parametrize("frame", [collins, hopper])
@pytest.mark.parametrize("size", [(256, 256), (320, 384), (640, 640)])
def test_faces_are_those_that_opencv_finds(engine, frame, size):
    scaled = cv2.resize(frame(), size, interpolation=cv2.INTER_AREA)
    (found,) = yunet.decode(engine.run(_tensor(scaled)), *size, score_threshold=0.6)
    expected = _by_opencv(scaled, 0.6)
    assert len(found.boxes) == len(expected) == 1
    assert found.scores[0] > 0.8
    np.testing.assert_allclose(found.scores, expected[:, 14], atol=0.01)
    np.testing.assert_allclose(found.boxes, expected[:, :4], atol=1)
    np.testing.assert_allclose(found.landmarks.reshape(-1, 10), expected[:, 4:14], atol=1)


def test_a_batch_keeps_its_frames_apart(engine):
    face = cv2.resize(collins(), (256, 256), interpolation=cv2.INTER_AREA)
    both = np.hstack([face, face])
    wall = np.full_like(both, 90)
    single = np.hstack([wall[:, :256], face])
    found = yunet.decode(engine.run(_tensor(both, wall, single)), 512, 256)
    assert [len(f.boxes) for f in found] == [2, 0, 1]
    assert found[2].boxes[0, 0] > 256
    assert found[1].landmarks.shape == (0, 5, 2)


def test_results_are_scaled_per_axis(engine):
    outputs = engine.run(_tensor(cv2.resize(collins(), (256, 256), interpolation=cv2.INTER_AREA)))
    (plain,) = yunet.decode(outputs, 256, 256)
    (scaled,) = yunet.decode(outputs, 256, 256, scale=(3, 0.5))
    np.testing.assert_allclose(scaled.boxes, plain.boxes * [3, 0.5, 3, 0.5], rtol=1e-6)
    np.testing.assert_allclose(scaled.landmarks, plain.landmarks * [3, 0.5], rtol=1e-6)


def test_landmarks_come_in_the_documented_order(engine):
    (found,) = yunet.decode(engine.run(_tensor(collins())), 512, 512)
    right_eye, left_eye, nose, right_mouth, left_mouth = found.landmarks[0]
    assert right_eye[0] < nose[0] < left_eye[0]
    assert right_eye[1] < nose[1] < right_mouth[1]
    assert right_mouth[0] < left_mouth[0]


boxes = arrays.arrays(np.float32, st.tuples(st.integers(0, 30), st.just(4)), elements=st.floats(1, 50, width=32))


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[:2] + a[2:], b[:2] + b[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    return shared / (float(np.prod(a[2:]) + np.prod(b[2:])) - shared)


@given(boxes, st.floats(0.1, 0.9))
def test_suppression_keeps_the_best_and_only_what_overlaps_nothing_better(candidates, most):
    kept = list(yunet.suppress(candidates, most))
    for index, box in enumerate(candidates):
        worst = max((_overlap(box, candidates[k]) for k in kept if k < index), default=0.0)
        assert worst <= most + 1e-5 if index in kept else worst >= most - 1e-5


@given(st.floats(0.2, 5), st.sampled_from([320, 640, 960]))
def test_the_frame_fits_the_input_tightly(aspect, side):
    width, height = yunet.input_size(aspect, side)
    assert width % 32 == height % 32 == 0
    assert max(width, height) == side
    content_width, content_height = yunet.content_size(aspect, width, height)
    assert content_width % 2 == content_height % 2 == 0
    assert 0 < content_width <= width
    assert 0 < content_height <= height
    assert width - content_width < 34
    assert height - content_height < 34
    assert abs(content_width - content_height * aspect) <= 1 + aspect


def test_a_full_hd_frame_uses_the_whole_width():
    assert yunet.input_size(16 / 9, 640) == (640, 384)
    assert yunet.content_size(16 / 9, 640, 384) == (640, 360)


@pytest.mark.parametrize("model", [YUNET, DLIB_FACE_RESNET])
def test_published_models_are_intact(model):
    assert len(model.read()) > 200_000


def test_a_changed_or_missing_model_is_refused():
    changed = Model("other", "MIT", "0" * 64, YUNET.distribution, YUNET.filename)
    absent = Model("other", "MIT", "0" * 64, YUNET.distribution, "no-such-file.onnx")
    not_installed = Model("other", "MIT", "0" * 64, "dualface-no-such-distribution", "x.onnx")
    for model, words in ((changed, "not the one"), (absent, "does not hold"), (not_installed, "not installed")):
        with pytest.raises(ModelUnavailableError, match=words):
            model.read()


def test_dark_inputs_are_brightened_and_lit_ones_are_not():
    lit = _tensor(cv2.resize(collins(), (256, 256)))[0]
    dark = np.full((3, 64, 64), 12, np.float32)
    spot = np.full((3, 64, 64), 4, np.float32)
    spot[:, 20:36, 20:36] = 160
    for image in (lit, spot):
        before = image.copy()
        yunet.brighten(image)
        np.testing.assert_array_equal(image, before)
    yunet.brighten(dark)
    np.testing.assert_allclose(dark, yunet.LIT, rtol=1e-5)


def test_the_gain_is_limited():
    black = np.full((3, 64, 64), 2, np.float32)
    yunet.brighten(black)
    np.testing.assert_allclose(black, 2 * yunet.MOST_GAIN)
