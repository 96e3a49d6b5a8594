"""Detection tables come back from their files as they were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines.frames import Rect
from pipeline.detection.observer import THUMBNAIL_SIZE
from pipeline.people import Face
from pipeline.splitting.table import DamagedTableError, DetectionTable, RecordedFrame, read_table, recorded
from tests.support.still_images import nv12

NUMBERS = st.floats(-1e5, 1e5) | st.sampled_from([0.1, 1 / 3, -0.0, 5e-324])
FACES = st.builds(
    Face,
    st.builds(Rect, NUMBERS, NUMBERS, NUMBERS, NUMBERS),
    NUMBERS,
    st.tuples(*[st.tuples(NUMBERS, NUMBERS)] * 5),
    NUMBERS,
)
PTS = st.integers(-(2**62), 2**62)
BY_PTS = st.dictionaries(PTS, st.lists(FACES, max_size=4).map(tuple), max_size=6)
ANY_FILE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)


def image(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(abs(seed)).integers(0, 256, shape, np.uint8)


def frame(pts: int) -> RecordedFrame:
    return recorded(replace(nv12(np.zeros((4, 6, 3), np.uint8)), pts=pts, duration=3))


def written(table: DetectionTable, folder: Path) -> DetectionTable:
    return read_table(folder / "table.npz", table.write(folder / "table.npz"))


@given(faces=BY_PTS, replaced=st.booleans(), display=st.none() | st.tuples(st.integers(1, 9999), st.integers(1, 9999)))
@ANY_FILE
def test_a_table_comes_back_exactly(
    tmp_path: Path, faces: dict[int, tuple[Face, ...]], replaced: bool, display: tuple[int, int] | None
) -> None:
    table = DetectionTable(
        frames=[replace(frame(pts), replaced=replaced, display=display) for pts in faces],
        thumbnails={pts: image(pts, *THUMBNAIL_SIZE[::-1]) for pts in faces},
        faces=faces,
        luma={(pts, size): image(pts, *size[::-1]) for pts in faces for size in ((480, 270), (152, 270))},
        chips={(pts, face): image(pts, 3, 150, 150) for pts, found in faces.items() for face in found[:1]},
    )
    back = written(table, tmp_path)
    fields = ("pts", "duration", "replaced", "width", "height", "display", "source_pts")
    assert [[getattr(f, name) for name in fields] for f in back.frames] == [
        [getattr(f, name) for name in fields] for f in table.frames
    ]
    assert repr(back.faces) == repr(table.faces)  # also the sign of zero
    for name in ("thumbnails", "luma", "chips"):
        a, b = getattr(back, name), getattr(table, name)
        assert list(a) == list(b)
        assert all(np.array_equal(a[key], b[key]) for key in b)


def test_a_table_without_anything_comes_back(tmp_path: Path) -> None:
    back = written(DetectionTable(), tmp_path)
    assert (back.frames, back.thumbnails, back.faces, back.luma, back.chips) == ([], {}, {}, {}, {})


def test_frames_without_faces_are_known_to_have_none(tmp_path: Path) -> None:
    assert written(DetectionTable(frames=[frame(5)], faces={5: ()}), tmp_path).faces == {5: ()}


def test_frames_of_a_table_have_a_size_and_no_memory() -> None:
    large = recorded(replace(nv12(np.zeros((360, 640, 3), np.uint8)), pts=7))
    assert (large.width, large.height, large.uv.shape) == (640, 360, (180, 320, 2))
    assert large.y.base is not None
    assert large.y.base.nbytes == 1


@pytest.mark.parametrize("how", ["missing", "cut short", "changed"])
def test_a_file_that_is_not_what_was_written_is_refused(tmp_path: Path, how: str) -> None:
    path = tmp_path / "table.npz"
    digest = DetectionTable(frames=[frame(5)]).write(path)
    data = path.read_bytes()
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(data[:-1] if how == "cut short" else data[:50] + bytes([data[50] ^ 1]) + data[51:])
    with pytest.raises(DamagedTableError):
        read_table(path, digest)


def with_chip(folder: Path) -> tuple[tuple[int, Face], str]:
    key = 5, Face(Rect(1, 2, 3, 4), 0.9, ((0.0, 0.0),) * 5)
    return key, DetectionTable(frames=[frame(5)], chips={key: image(5, 3, 150, 150)}).write(folder / "table.npz")


def test_a_damaged_chip_counts_as_missing(tmp_path: Path) -> None:
    key, digest = with_chip(tmp_path)
    assert key in read_table(tmp_path / "table.npz", digest).chips
    chips = tmp_path / "chips.raw"
    data = chips.read_bytes()
    chips.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
    assert read_table(tmp_path / "table.npz", digest).chips.get(key) is None


@pytest.mark.parametrize("content", [None, b"short"])
def test_a_table_without_its_chips_is_refused(tmp_path: Path, content: bytes | None) -> None:
    _, digest = with_chip(tmp_path)
    (tmp_path / "chips.raw").unlink()
    if content is not None:
        (tmp_path / "chips.raw").write_bytes(content)
    with pytest.raises(DamagedTableError):
        read_table(tmp_path / "table.npz", digest)
