"""A device's preprocessor beside the CPU's: what the models see, and what comes to the host."""

import cv2
import numpy as np
import pytest

from engines.cpu.preprocess import CpuPreprocessor
from engines.cuda.preprocess import CudaPreprocessor
from engines.frames import Frame, Rect
from engines.inference.onnxruntime import OnnxRuntimeEngine
from engines.models import yunet
from pipeline.detection.region import Region
from tests.support.cuda_on_host import STREAMS, HostPreprocessor, on_device, to_device
from tests.support.still_images import collins, frame_of, hopper, nv12, psnr, waves

SIZES = [(1920, 1080), (1280, 720), (852, 480), (641, 481), (1080, 1920), (200, 150)]
LANDMARKS = np.array([[[40, 40], [60, 40], [50, 52], [42, 62], [58, 62]]], np.float32)


@pytest.fixture(params=on_device(HostPreprocessor))
def make(request):
    return request.param


def shown(size) -> Frame:
    width, height = size
    image = cv2.resize(collins(), size, interpolation=cv2.INTER_CUBIC)
    frame = nv12(np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), "edge"))
    return Frame(frame.y[:height, :width], frame.uv, 0, 1)


@pytest.mark.parametrize("size", SIZES)
def test_the_detector_sees_the_same(make, size):
    frames = [shown(size), nv12(cv2.resize(hopper(), size))]
    if frames[0].y.shape != frames[1].y.shape:
        frames = frames[:1]
    ours, expected = (p.detector_input(frames, 640, 384) for p in (make(), CpuPreprocessor()))
    assert (ours.shape, ours.dtype) == (expected.shape, np.float32)
    assert psnr(ours, expected) > 45
    assert np.abs(ours - expected).max() <= 6


@pytest.mark.parametrize("gain", [0.02, 0.1, 0.2])
def test_dark_frames_are_brightened_alike(make, gain):
    frames = [nv12(cv2.convertScaleAbs(cv2.resize(image, (640, 480)), alpha=gain)) for image in (collins(), hopper())]
    ours, expected = (p.detector_input(frames, 320, 256) for p in (make(), CpuPreprocessor()))
    np.testing.assert_allclose(ours, expected, atol=8)
    bright = make().detector_input([nv12(cv2.resize(collins(), (640, 480)))], 320, 256)
    assert ours[0].mean() > 1.3 * gain * bright.mean()


def test_an_anamorphic_frame_is_shown_in_its_displayed_shape(make):
    frame = nv12(cv2.resize(collins(), (480, 480), interpolation=cv2.INTER_AREA))
    ours, expected = (p.detector_input([frame], 320, 256) for p in (make(aspect=4 / 3), CpuPreprocessor(4 / 3)))
    assert psnr(ours, expected) > 45


@pytest.mark.parametrize("size", SIZES)
def test_thumbnails_are_the_same(make, size):
    frames = [shown(size), frame_of(waves(0.9), *size)]
    ours, expected = (p.thumbnails(frames, 64, 36) for p in (make(), CpuPreprocessor()))
    assert np.abs(ours.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.7, 11.0])
@pytest.mark.parametrize("turn_deg", [0, 20, -35])
def test_chips_are_the_same(make, scale, turn_deg):
    angle = np.deg2rad(turn_deg)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    landmarks = ((LANDMARKS - [50, 50]) @ turn.T + [500, 450]).astype(np.float32)
    frames = [nv12(cv2.resize(collins(), (1000, 900))), nv12(cv2.resize(hopper(), (1000, 900)))]
    both = np.concatenate([landmarks, landmarks + np.float32(30)])
    ours, expected = (p.aligned_chips(frames, both, 150) for p in (make(), CpuPreprocessor()))
    assert psnr(ours, expected) > 45


def test_a_face_at_the_edge_repeats_it(make):
    frame = nv12(collins())
    ours, expected = (p.aligned_chips([frame], LANDMARKS - 60, 150) for p in (make(), CpuPreprocessor()))
    assert psnr(ours, expected) > 45


def test_more_faces_than_go_into_one_launch(make):
    frame = nv12(collins())
    landmarks = np.concatenate([LANDMARKS * 3 + np.float32(n) for n in range(20)])
    ours, expected = (p.aligned_chips([frame] * 20, landmarks, 150) for p in (make(), CpuPreprocessor()))
    assert psnr(ours, expected) > 45


@pytest.mark.parametrize("box", [Rect(64, 40, 200, 120), Rect(302.5, 201, 133, 133), Rect(-80, 290, 300, 300)])
@pytest.mark.parametrize("open_stream", STREAMS)
def test_parts_of_a_frame_are_the_same(open_stream, box):
    """Parts are views of the frame's planes, on the device as well."""
    stream, frame = open_stream(), shown((852, 480))
    region = Region.of(frame, box, (852, 480)).frame
    on_device = Region.of(to_device(stream, frame), box, (852, 480)).frame
    ours, expected = CudaPreprocessor(stream), CpuPreprocessor()
    thumbnail = ours.begin_thumbnails([on_device], 64, 64)()
    assert np.abs(thumbnail.astype(int) - expected.thumbnails([region], 64, 64)).max() <= 1
    seen = stream.to_host(ours.detector_input([on_device], 320, 192))
    assert psnr(seen, expected.detector_input([region], 320, 192)) > 45


@pytest.mark.parametrize("threshold", [0.3, 0.01, 0.99])
def test_candidates_are_the_same_in_the_same_order(make, threshold):
    frames = [nv12(collins()), nv12(hopper()[:512]), nv12(np.zeros_like(collins()))]
    outputs = OnnxRuntimeEngine(yunet.load()).run(CpuPreprocessor().detector_input(frames, 256, 256))
    ours, expected = (p.candidates(outputs, threshold) for p in (make(), CpuPreprocessor()))
    assert ours.frames == expected.frames == 3
    for found, wanted in zip(ours[1:], expected[1:], strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("open_stream", STREAMS)
def test_little_comes_to_the_host(open_stream):
    """Of every frame a thumbnail, of every second the faces: at most 4 KiB per frame."""
    stream = open_stream()
    preprocessor = HostPreprocessor(stream)
    frames = [nv12(collins())] * 8
    outputs = OnnxRuntimeEngine(yunet.load()).run(CpuPreprocessor().detector_input(frames[::2], 256, 256))
    preprocessor.thumbnails(frames, 64, 36)
    preprocessor.candidates(outputs, 0.3)
    assert 0 < stream.bytes_to_host <= 8 * 4096
