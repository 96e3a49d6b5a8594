"""The contact sheet, from real videos made here."""

from __future__ import annotations

import itertools
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from engines.cpu.snapshots import snapshots
from engines.errors import MediaError
from engines.frames import Frame
from pipeline.preview import PreviewPictures, clock_text, write_preview

WIDTH, HEIGHT = 384, 216
CELL = (480, 270)
GAP = 6


def make_video(path, count, *, gop=30, fps=30):
    """A video whose brightness tells the picture's number."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"preset": "superfast", "g": str(gop), "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, fps)
        for i in range(count):
            picture = np.full((HEIGHT, WIDTH, 3), 20 + round(200 * i / max(1, count - 1)), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = i, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("count", [24, 120, 400, 900])
def test_snapshots_are_spread_evenly_over_the_video(tmp_path, count):
    taken = list(snapshots(make_video(tmp_path / "a.mp4", count), 12, 100))
    seconds = count / 30
    wanted = [(k + 0.5) * seconds / 12 for k in range(12)]
    assert [s.t_s for s in taken] == pytest.approx(wanted, abs=max(0.3 * seconds / 12, 0.12))


@pytest.mark.parametrize(("count", "gop"), [(60, 30), (600, 25), (600, 300)])
def test_snapshots_show_the_picture_of_their_time(tmp_path, count, gop):
    video = make_video(tmp_path / "a.mp4", count, gop=gop)
    with av.open(str(video)) as container:
        pictures = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    for snapshot in snapshots(video, 12, HEIGHT):
        assert (snapshot.bgr == pictures[round(snapshot.t_s * 30)]).all()


@pytest.mark.parametrize("count", [1, 2, 5, 11])
def test_a_short_video_gives_every_picture_at_most_once(tmp_path, count):
    taken = list(snapshots(make_video(tmp_path / "a.mp4", count), 12, 100))
    times = [s.t_s for s in taken]
    assert times == sorted(set(times))
    assert (count + 1) // 2 <= len(times) <= count


@pytest.mark.parametrize(("count", "columns", "rows"), [(300, 3, 4), (1, 1, 1)])
def test_the_sheet_holds_twelve_pictures_or_as_many_as_there_are(tmp_path, count, columns, rows):
    out = tmp_path / "sheet ü.jpg"
    write_preview(make_video(tmp_path / "v.mp4", count), out)
    data = out.read_bytes()
    assert data[:2] == b"\xff\xd8"
    sheet = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert sheet.shape == (rows * (CELL[1] + GAP) + GAP, columns * (CELL[0] + GAP) + GAP, 3)


def test_the_sheet_reads_in_order_with_a_stamp_on_each_picture(tmp_path):
    out = tmp_path / "sheet.jpg"
    write_preview(make_video(tmp_path / "v.mp4", 360), out)
    sheet = cv2.imdecode(np.frombuffer(out.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
    cells = [
        sheet[GAP + r * (CELL[1] + GAP) :, GAP + c * (CELL[0] + GAP) :][: CELL[1], : CELL[0]]
        for r in range(4)
        for c in range(3)
    ]
    middles = [float(cell[60:180, 100:400].mean()) for cell in cells]
    assert middles == sorted(middles)
    for cell, middle in zip(cells[4:], middles[4:], strict=True):
        stamp = cell[-22:, :70].astype(float)
        assert stamp.min() < 40
        assert stamp.max() > 200
        assert cell[-22:, 200:].mean() == pytest.approx(middle, abs=5)


def test_a_file_that_is_no_video_is_an_error(tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video" * 1000)
    with pytest.raises(MediaError):
        write_preview(broken, tmp_path / "out.jpg")
    assert not (tmp_path / "out.jpg").exists()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00.0"), (59.96, "1:00.0"), (83.44, "1:23.4"), (3599.97, "1:00:00.0"), (3723.44, "1:02:03.4")],
)
def test_times_read_like_a_clock(seconds, text):
    assert clock_text(seconds) == text


def test_pictures_kept_while_rendering_make_the_same_sheet_also_after_a_resume(tmp_path):
    def picture(n):
        return Frame(np.full((108, 192), 2 * n, np.uint8), np.full((54, 96, 2), 128, np.uint8), n, 1)

    def run(folder, *parts):
        for part in parts:
            kept = PreviewPictures(folder, 10.0)
            for n in part:
                kept.offer(picture(n), n / 10)
        return sorted(p.name for p in folder.iterdir())

    whole = run(tmp_path / "whole", range(100))
    assert len(whole) == 12
    assert run(tmp_path / "parts", range(50), range(40, 100)) == whole
    write_preview(tmp_path / "never opened.mp4", tmp_path / "sheet.jpg", kept=tmp_path / "parts")
    sheet = cv2.imread(str(tmp_path / "sheet.jpg"))
    assert sheet is not None and sheet.shape[1] > 3 * 480
    cells = [sheet[100 + 276 * row, 200 + 486 * column, 0] for row in range(4) for column in range(3)]
    assert all(a < b for a, b in itertools.pairwise(cells))


def test_a_kept_picture_that_a_power_cut_has_emptied_is_made_from_the_video(tmp_path):
    video = make_video(tmp_path / "x.mp4", 30)
    kept = tmp_path / "kept"
    kept.mkdir()
    for n in range(12):
        (kept / f"{n:012d}.jpg").write_bytes(b"")
    write_preview(video, tmp_path / "sheet.jpg", kept=kept)
    assert cv2.imread(str(tmp_path / "sheet.jpg")) is not None
