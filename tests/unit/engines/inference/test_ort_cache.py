"""Models that ONNX Runtime has prepared for this CPU."""

import numpy as np
import pytest

from engines.errors import ModelUnavailableError
from engines.inference.onnxruntime import OnnxRuntimeEngine
from engines.inference.ort_cache import open_prepared
from engines.models import yunet

FRAME = np.random.default_rng(7).random((2, 3, 96, 160), np.float32) * 255


def never() -> bytes:
    raise AssertionError("the model is there already")


def assert_same_as_the_model_itself(engine):
    for prepared, plain in zip(engine.run(FRAME), OnnxRuntimeEngine(yunet.load()).run(FRAME), strict=True):
        np.testing.assert_array_equal(prepared, plain)


def test_a_model_is_prepared_once_and_gives_the_same_bits(tmp_path):
    assert_same_as_the_model_itself(open_prepared("yunet", yunet.load, cache_dir=tmp_path))
    assert_same_as_the_model_itself(open_prepared("yunet", never, cache_dir=tmp_path))
    assert {path.suffix for path in tmp_path.iterdir()} == {".ort", ".sha256"}


def test_another_model_is_not_taken_for_it(tmp_path):
    open_prepared("yunet-1", yunet.load, cache_dir=tmp_path)
    with pytest.raises(AssertionError):
        open_prepared("yunet-2", never, cache_dir=tmp_path)


@pytest.mark.parametrize("suffix", [".ort", ".sha256"])
def test_what_was_damaged_is_prepared_again(tmp_path, suffix):
    open_prepared("yunet", yunet.load, cache_dir=tmp_path)
    (kept,) = tmp_path.glob("*" + suffix)
    kept.write_bytes(b"\xff" + kept.read_bytes()[1:])
    assert_same_as_the_model_itself(open_prepared("yunet", yunet.load, cache_dir=tmp_path))
    assert_same_as_the_model_itself(open_prepared("yunet", never, cache_dir=tmp_path))


def test_what_the_runtime_refuses_is_prepared_again(tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("engines.inference.ort_cache._prepared", lambda *_: b"nothing that any runtime reads")
        assert_same_as_the_model_itself(open_prepared("yunet", yunet.load, cache_dir=tmp_path))
    assert_same_as_the_model_itself(open_prepared("yunet", yunet.load, cache_dir=tmp_path))
    assert_same_as_the_model_itself(open_prepared("yunet", never, cache_dir=tmp_path))


def test_no_place_to_keep_it_is_no_obstacle(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    assert_same_as_the_model_itself(open_prepared("yunet", yunet.load, cache_dir=blocked / "cache"))


def test_a_model_that_is_missing_is_said_to_be(tmp_path):
    def missing() -> bytes:
        raise ModelUnavailableError("the model is missing")

    with pytest.raises(ModelUnavailableError, match="is missing"):
        open_prepared("yunet", missing, cache_dir=tmp_path)
