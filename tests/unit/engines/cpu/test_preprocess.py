"""Model inputs made of NV12 frames, compared with swscale and with analytic patterns."""

import av
import cv2
import numpy as np
import pytest

from engines.cpu.preprocess import CpuPreprocessor
from engines.frames import Frame
from engines.models.face_embedding import chip_transforms
from tests.support.still_images import collins, frame_of, nv12, psnr, waves

LANDMARKS = np.array([[[40, 40], [60, 40], [50, 52], [42, 62], [58, 62]]], np.float32)


def _by_swscale(frame: Frame, width: int, height: int) -> np.ndarray:
    stacked = np.concatenate([frame.y, frame.uv.reshape(frame.uv.shape[0], -1)])
    image = av.VideoFrame.from_ndarray(stacked, format="nv12")
    return image.reformat(width, height, "bgr24", interpolation="AREA").to_ndarray()


@pytest.mark.parametrize("size", [(1920, 1080), (1280, 720), (852, 480)])
def test_the_detector_input_agrees_with_swscale(size):
    frame = nv12(cv2.resize(collins(), size, interpolation=cv2.INTER_CUBIC))
    (tensor,) = CpuPreprocessor().detector_input([frame], 640, 384)
    height = 360
    assert psnr(tensor[:, :height].transpose(1, 2, 0), _by_swscale(frame, 640, height)) > 38
    assert not tensor[:, height:].any()


def test_colours_are_kept():
    for bgr in ((20, 40, 200), (200, 120, 30), (128, 128, 128), (255, 255, 255), (0, 0, 0)):
        frame = nv12(np.full((96, 128, 3), bgr, np.uint8))
        (tensor,) = CpuPreprocessor().detector_input([frame], 64, 64)
        np.testing.assert_allclose(tensor[:, :48].mean(axis=(1, 2)), bgr, atol=3)


def test_an_anamorphic_frame_is_shown_in_its_displayed_shape():
    upright = nv12(cv2.resize(collins(), (640, 480), interpolation=cv2.INTER_AREA))
    squeezed = nv12(cv2.resize(collins(), (480, 480), interpolation=cv2.INTER_AREA))
    displayed = CpuPreprocessor(aspect=640 / 480)
    tensors = displayed.detector_input([upright], 320, 256), displayed.detector_input([squeezed], 320, 256)
    assert psnr(*tensors) > 30
    assert CpuPreprocessor().detector_input([squeezed], 320, 256)[0, :, :, 300:].max() == 0


def test_a_batch_equals_its_frames_one_by_one():
    frames = [nv12(collins()), nv12(collins()[::-1])]
    together = CpuPreprocessor().detector_input(frames, 256, 256)
    for tensor, frame in zip(together, frames, strict=True):
        assert np.array_equal(tensor, CpuPreprocessor().detector_input([frame], 256, 256)[0])


def test_odd_sizes_and_padded_rows_are_read():
    plane, chroma = np.full((101, 160), 90, np.uint8), np.full((51, 80, 2), 128, np.uint8)
    frame = Frame(plane[:, :143], chroma[:, :72], 0, 1)
    (tensor,) = CpuPreprocessor().detector_input([frame], 96, 96)
    assert np.ptp(tensor[:, :60, :90]) == 0
    assert CpuPreprocessor().thumbnails([frame], 64, 36).tolist() == np.full((1, 36, 64), 90).tolist()


def test_a_small_frame_is_enlarged():
    (tensor,) = CpuPreprocessor().detector_input([nv12(collins()[:128, :128])], 256, 256)
    assert tensor[:, :256, :256].min(axis=(1, 2)).max() < tensor.mean()
    assert tensor[:, -8:, -8:].mean() > 5


def test_thumbnails_are_the_mean_of_what_they_cover():
    frame = frame_of(waves(0.9), 640, 360)
    (thumbnail,) = CpuPreprocessor().thumbnails([frame], 64, 36)
    blocks = frame.y.reshape(36, 10, 64, 10).mean(axis=(1, 3))
    assert np.abs(thumbnail - blocks).max() <= 0.51


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.7])
@pytest.mark.parametrize("turn_deg", [0, 20, -35])
def test_a_chip_shows_the_part_of_the_frame_at_the_landmarks(scale, turn_deg):
    angle = np.deg2rad(turn_deg)
    turn = scale * 3.2 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    landmarks = ((LANDMARKS - [50, 50]) @ turn.T + [500, 450]).astype(np.float32)
    scene = waves(0.1, seed=4)
    (chip,) = CpuPreprocessor().aligned_chips([frame_of(scene, 1000, 900)], landmarks, 150)
    (transform,) = chip_transforms(landmarks)
    rows, columns = np.mgrid[:150, :150]
    x, y = np.einsum("ij,jhw->ihw", transform, np.stack([columns, rows, np.ones_like(rows)]))
    expected = cv2.cvtColor(
        np.stack([np.rint(scene(x + 0.5, y + 0.5)).astype(np.uint8)] * 3, axis=2), cv2.COLOR_YUV2RGB
    )
    shown = cv2.cvtColor(np.rint(chip).astype(np.uint8).transpose(1, 2, 0), cv2.COLOR_RGB2GRAY)
    wanted = cv2.cvtColor(expected, cv2.COLOR_RGB2GRAY)
    assert np.corrcoef(shown.ravel(), wanted.ravel())[0, 1] > 0.99


def test_a_large_face_is_shrunk_without_aliasing():
    rows = np.arange(1200)[:, None]
    stripes = np.broadcast_to(np.where(rows % 4 < 2, 60, 180).astype(np.uint8), (1200, 1200))
    frame = Frame(np.ascontiguousarray(stripes), np.full((600, 600, 2), 128, np.uint8), 0, 1)
    (chip,) = CpuPreprocessor().aligned_chips([frame], LANDMARKS * 11, 150)
    assert chip.std() < 12


def test_a_face_at_the_edge_repeats_the_edge():
    frame = nv12(np.full((200, 200, 3), (10, 200, 90), np.uint8))
    for shift in ((-60, -60), (150, 150), (-500, 800)):
        (chip,) = CpuPreprocessor().aligned_chips([frame], LANDMARKS + np.float32(shift), 150)
        np.testing.assert_allclose(chip.mean(axis=(1, 2)), (90, 200, 10), atol=3)


def test_no_faces_give_no_chips():
    chips = CpuPreprocessor().aligned_chips([], np.empty((0, 5, 2), np.float32), 150)
    assert chips.shape == (0, 3, 150, 150)
