"""The contact sheet, from real videos made here."""

from __future__ import annotations

import gzip
import itertools
import math
import tracemalloc
from fractions import Fraction

import av
import cv2
import numpy as np
import orjson
import pytest

from engines.errors import MediaError
from engines.frames import Frame, Rect
from engines.media.snapshots import snapshots, snapshots_at
from pipeline.people import Row, Tile
from pipeline.rendering.thumbnails import (
    FACE_SIZE,
    FRAME_HEIGHT,
    FaceThumbnail,
    Thumbnail,
    ThumbnailStore,
    load_thumbnails,
    thumbnail_of,
)
from pipeline.report.contact_sheet import SheetOrder, write_preview
from pipeline.report.presence_bar import presence_bar
from pipeline.report.time_axis import clock_text, ticks
from pipeline.segments.tracks_file import SOURCES, TrackSummary

WIDTH, HEIGHT = 384, 216
GAP = 8


def make_video(path, count, *, gop=30, fps=30):
    """A video whose brightness encodes the frame's number."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"preset": "superfast", "g": str(gop), "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, fps)
        for i in range(count):
            image = np.full((HEIGHT, WIDTH, 3), 20 + round(200 * i / max(1, count - 1)), np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
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
def test_snapshots_show_the_frame_of_their_time(tmp_path, count, gop):
    video = make_video(tmp_path / "a.mp4", count, gop=gop)
    with av.open(str(video)) as container:
        frames = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    for snapshot in snapshots(video, 12, HEIGHT):
        assert (snapshot.bgr == frames[round(snapshot.t_s * 30)]).all()


def test_snapshots_at_given_times_show_the_frames_of_these_times(tmp_path):
    video = make_video(tmp_path / "a.mp4", 300)
    with av.open(str(video)) as container:
        frames = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    taken = list(snapshots_at(video, [0.5, 0.9, 7.2], HEIGHT))
    assert [round(s.t_s * 30) for s in taken] == [15, 27, 216]
    assert all((s.bgr == frames[round(s.t_s * 30)]).all() for s in taken)


@pytest.mark.parametrize("count", [1, 2, 5, 11])
def test_a_short_video_gives_every_frame_at_most_once(tmp_path, count):
    taken = list(snapshots(make_video(tmp_path / "a.mp4", count), 12, 100))
    times = [s.t_s for s in taken]
    assert times == sorted(set(times))
    assert (count + 1) // 2 <= len(times) <= count


def write_tracks(path, count, *, source=lambda n: "detected", fps=30):
    """Tracks of two people whose faces are in the middles of their crops."""

    def tile(n, x):
        seen = source(n) in ("detected", "tracked", "reidentified")
        face = [x + 200, 150, 80, 100] if seen else None
        return {"person": 1, "face": face, "crop": [x, 0, 480, 540], "source": source(n)}

    lines = [{"frame": n, "t": round(n / fps, 6), "left": tile(n, 0), "right": tile(n, 480)} for n in range(count)]
    path.write_bytes(gzip.compress(b"".join(orjson.dumps(line) + b"\n" for line in lines)))
    return path


def order_for(folder, count, *, video=None, **fields):
    tracks = write_tracks(folder / "tracks.gz", count, source=fields.pop("source", lambda n: "detected"))
    return SheetOrder(video or make_video(folder / "v.mp4", count), tracks, count / 30, **fields)


def sheet_of(order, folder):
    out = folder / "sheet ü.jpg"
    write_preview(out, order)
    data = out.read_bytes()
    assert data[:2] == b"\xff\xd8"
    assert len(data) < 600_000
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def strip_top(thumbnails):
    return GAP + math.ceil(thumbnails / 4) * (FRAME_HEIGHT + GAP) + 12 + 2 * (FACE_SIZE + 4) + 44


@pytest.mark.parametrize(("count", "thumbnails"), [(300, 12), (48, 12), (1, 1)])
def test_the_sheet_is_as_wide_as_the_video_and_holds_what_there_is(tmp_path, count, thumbnails):
    sheet = sheet_of(order_for(tmp_path, count), tmp_path)
    assert sheet.shape[1] == 1920
    cells = [sheet[GAP + n // 4 * 272 :, GAP + n % 4 * 478 :][: FRAME_HEIGHT - 40, 100:460] for n in range(thumbnails)]
    middles = [float(cell.mean()) for cell in cells]
    assert middles == sorted(middles), "the frames are in order"
    assert all(a + 5 < b for a, b in itertools.pairwise(middles)), "and all different"
    for number in range(thumbnails):
        stamp = sheet[GAP + number // 4 * 272 + 232 :, GAP + number % 4 * 478 + 6 :][:24, :60].astype(float)
        assert stamp.min() < 60 and stamp.max() > 200, "each has its time"


def test_faces_are_cut_out_of_their_tiles():
    image = np.zeros((1080, 1920, 3), np.uint8)
    image[300:500, 400:560] = 255, 0, 0
    image[300:500, 960 + 400 : 960 + 560] = 0, 0, 255
    tile = Tile(1, Rect(1200, 650, 80, 100), Rect(1000, 500, 480, 540), "detected")
    thumbnail = thumbnail_of(image, Row(0, 1.0, tile, tile))
    assert thumbnail.frame.shape == (264, 469, 3)
    for side, color in (("left", (255, 0, 0)), ("right", (0, 0, 255))):
        face = thumbnail.faces[side].image
        assert face.shape == (FACE_SIZE, FACE_SIZE, 3)
        assert tuple(face[FACE_SIZE // 2, FACE_SIZE // 2]) == color
        assert 0.2 < (face == color).all(axis=2).mean() < 0.3
        assert tuple(face[2, 2]) == (0, 0, 0)


def test_faces_are_cut_out_of_extended_tiles():
    """The crop of 960x540 fills the tile's rows 180 to 720."""
    image = np.zeros((1080, 1920, 3), np.uint8)
    image[380:580, 400:560] = 255, 0, 0
    tile = Tile(1, Rect(400, 470, 160, 200), Rect(0, 270, 960, 540), "detected")
    face = thumbnail_of(image, Row(0, 1.0, tile, tile)).faces["left"].image
    assert tuple(face[FACE_SIZE // 2, FACE_SIZE // 2]) == (255, 0, 0)
    assert 0.2 < (face == (255, 0, 0)).all(axis=2).mean() < 0.3
    assert tuple(face[2, 2]) == (0, 0, 0)


def test_the_face_of_a_full_frame_is_cut_out_of_the_whole_of_it():
    image = np.zeros((1080, 1920, 3), np.uint8)
    image[300:500, 880:1040] = 255, 0, 0  # in both halves
    left = Tile(1, Rect(440, 150, 80, 100), Rect(0, 0, 480, 540), "detected")
    right = Tile(None, None, Rect(480, 0, 480, 540), "held")
    face = thumbnail_of(image, Row(0, 1.0, left, right, None, Rect(0, 0, 960, 540))).faces["left"].image
    assert tuple(face[FACE_SIZE // 2, FACE_SIZE // 2]) == (255, 0, 0)
    assert 0.2 < (face == (255, 0, 0)).all(axis=2).mean() < 0.3


def test_the_sheet_of_a_full_frame_has_one_person(tmp_path):
    two = sheet_of(order_for(tmp_path, 48), tmp_path)
    one = sheet_of(order_for(tmp_path, 48, is_single=True), tmp_path)
    assert two.shape[0] - one.shape[0] == FACE_SIZE + 4 + 30 + 6
    top = strip_top(12) - FACE_SIZE - 4
    assert colors(one[top : top + 30, 102:1902], (52, 168, 106)) > 0.95


@pytest.mark.parametrize("box", [(-50, -50, 40, 40), (5000, 5000, 40, 40), (0, 0, 4000, 4000), (9, 9, 0, 0)])
def test_a_face_anywhere_gives_a_square(box):
    tile = Tile(1, Rect(*box), Rect(0, 0, 480, 540), "tracked")
    thumbnail = thumbnail_of(np.zeros((1080, 1920, 3), np.uint8), Row(0, 0.0, tile, tile))
    assert thumbnail.faces["left"].image.shape == (FACE_SIZE, FACE_SIZE, 3)


def colors(image, rgb):
    """The share of pixels of this colour, as near as JPEG keeps it."""
    return float((abs(image.astype(int) - rgb[::-1]).max(axis=2) < 30).mean())


def test_presence_repairs_and_degradation_lie_along_the_duration(tmp_path):
    def source(n):
        return "detected" if n < 150 else "frozen" if n < 225 else "placeholder"

    order = order_for(
        tmp_path, 300, source=source,
        identity={"repaired_swaps": [{"t": 2.5}], "both_visible_ratio": 0.5},
        degradation=[{"from_s": 5.0, "to_s": 7.5, "level": "downscale"}],
    )  # fmt: skip
    sheet = sheet_of(order, tmp_path)
    top = strip_top(12)
    left = sheet[top : top + 30, 92:1912]
    quarter = 1820 // 4
    assert colors(left[:, 10 : quarter - 10], (52, 168, 106)) > 0.95
    assert colors(left[:, 2 * quarter + 10 : 3 * quarter - 10], (236, 122, 48)) > 0.95
    assert colors(left[:, 3 * quarter + 10 :], (214, 64, 70)) > 0.95
    line = sheet[top + 72 : top + 80, 92:1912]
    assert colors(line[1:6, 2 * quarter + 5 : 3 * quarter - 5], (206, 188, 255)) > 0.9
    assert colors(line[1:6, : 2 * quarter - 5], (206, 188, 255)) == 0
    assert colors(sheet[top + 80 : top + 84, 92 + quarter - 3 : 92 + quarter + 3], (232, 110, 220)) > 0.9


def test_places_to_check_come_first(tmp_path):
    """Frames brighten from 20 to 220 with time, so that their brightness tells their time."""
    doubts = [{"from_s": at, "to_s": at + 1, "reason": "cut", "person": 1, "confidence": 0.5} for at in (2.0, 2.5, 7.0)]
    sheet = sheet_of(order_for(tmp_path, 300, identity={"doubts": doubts}), tmp_path)
    plain = sheet_of(order_for(tmp_path, 300), tmp_path)
    assert sheet.shape[0] - plain.shape[0] == FRAME_HEIGHT + 3 * GAP
    for number, at in enumerate((2.75, 7.5)):
        cell = sheet[GAP:, GAP + number * 478 :][:FRAME_HEIGHT, :470]
        assert cell[40:200, 100:400].mean() == pytest.approx(20 + 200 * at / 10, abs=12)
        assert colors(cell[:, 1:3], (255, 196, 88)) > 0.8
    assert sheet[GAP : GAP + FRAME_HEIGHT, GAP + 2 * 478 + 4 :].max() < 60, "two spans are one place"


def test_each_warning_has_a_line_of_its_own_below(tmp_path):
    plain = sheet_of(order_for(tmp_path, 12), tmp_path)
    warned = sheet_of(order_for(tmp_path, 12, warnings=["The end is missing.", "x " * 400]), tmp_path)
    many = sheet_of(order_for(tmp_path, 12, warnings=["The end is missing."] * 30), tmp_path)
    assert warned.shape[0] - plain.shape[0] == 2 * 30
    assert many.shape[0] - plain.shape[0] == 9 * 30, "the last says how many more there are"
    for top in (plain.shape[0], plain.shape[0] + 30):
        line = warned[top : top + 16]
        assert colors(line[:, 8:24], (255, 196, 88)) > 0.5
        assert line[:, 40:].max() > 150
        assert line[:, -20:].max() < 60, "it fits"


@pytest.mark.parametrize("height", [30, 8])
def test_what_happened_at_all_is_seen(height):
    sources = np.zeros((len(SOURCES), 4), np.int64)
    sources[0] = 1000, 0, 500, 0
    sources[SOURCES.index("frozen")] = 1, 0, 500, 7
    bar = presence_bar(sources, height)
    red = [(bar[:, n] == (236, 122, 48)).all(axis=1).sum() for n in range(4)]
    assert red == [1, 1, height // 2, height]
    assert bar.shape == (height, 4, 3)


def test_a_sheet_that_is_hard_to_compress_still_stays_small(tmp_path, monkeypatch):
    noise = np.random.default_rng(1).normal(128, 20, (264, 469, 3)).astype(np.uint8)
    face = FaceThumbnail(noise[:FACE_SIZE, :FACE_SIZE], "detected")
    thumbnails = [Thumbnail(n, noise, {"left": face, "right": face}) for n in range(12)]
    monkeypatch.setattr("pipeline.report.contact_sheet.load_thumbnails", lambda _: thumbnails)
    sheet_of(order_for(tmp_path, 30, thumbnails=tmp_path), tmp_path)


def test_a_file_that_is_no_video_is_an_error(tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video" * 1000)
    with pytest.raises(MediaError):
        write_preview(tmp_path / "out.jpg", order_for(tmp_path, 30, video=broken))
    assert not (tmp_path / "out.jpg").exists()


def test_an_hour_is_summed_up_in_little_memory(tmp_path):
    tracks = write_tracks(tmp_path / "tracks.gz", 20_000)
    tracemalloc.start()
    summary = TrackSummary(tracks, 20_000 / 30, 100).finish()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000
    assert summary.sources.sum() == 40_000
    assert np.allclose(summary.crops[1], (720, 270, 480, 540))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00.0"), (59.96, "1:00.0"), (83.44, "1:23.4"), (3599.97, "1:00:00.0"), (3723.44, "1:02:03.4")],
)
def test_times_read_like_a_clock(seconds, text):
    assert clock_text(seconds) == text


def test_thumbnails_kept_while_rendering_are_the_same_after_a_resume(tmp_path):
    tile = Tile(1, Rect(50, 50, 40, 40), Rect(0, 0, 960, 1080), "detected")

    def image(n):
        return Frame(np.full((108, 192), 2 * n, np.uint8), np.full((54, 96, 2), 128, np.uint8), n, 1)

    def run(folder, *parts):
        for part in parts:
            done_t = None if part.start == 0 else (part.start - 1) / 10
            kept = ThumbnailStore(folder, 10.0, done_t=done_t)
            for n in part:
                kept.offer(image(n), Row(n, n / 10, tile, tile))
        return {p.name: p.read_bytes() for p in folder.iterdir()}

    whole = run(tmp_path / "whole", range(100))
    assert len(whole) == 36
    for boundary in range(1, 100):
        assert run(tmp_path / f"at {boundary}", range(min(100, boundary + 5)), range(boundary, 100)) == whole
    order = order_for(tmp_path, 300, video=tmp_path / "never opened.mp4", thumbnails=tmp_path / "whole")
    sheet_of(order, tmp_path)


def test_thumbnails_that_a_power_cut_has_damaged_are_decoded_again(tmp_path):
    tile = Tile(1, None, Rect(0, 0, 480, 540), "held")
    keeper = ThumbnailStore(tmp_path / "kept", 1.0)
    for n in range(30):
        keeper.offer(
            Frame(np.zeros((108, 192), np.uint8), np.zeros((54, 96, 2), np.uint8), n, 1), Row(n, n / 30, tile, tile)
        )
    assert len(load_thumbnails(tmp_path / "kept")) == 12
    next((tmp_path / "kept").glob("*-left-held.jpg")).write_bytes(b"")
    assert len(load_thumbnails(tmp_path / "kept")) == 11
    sheet = sheet_of(order_for(tmp_path, 30, thumbnails=tmp_path / "kept"), tmp_path)
    assert np.ptp(sheet[100, 1600]) < 10, "the grey of the video, not the green that was kept"


@pytest.mark.parametrize("duration_s", [0.03, 1, 20, 59, 1390, 5025, 43200])
def test_the_axis_has_few_round_times(duration_s):
    times = ticks(duration_s)
    assert 1 <= len(times) <= 13
    assert times[0] == 0 and times[-1] < duration_s
