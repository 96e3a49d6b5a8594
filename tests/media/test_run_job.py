"""The whole pipeline on small real recordings: what comes out, and that a stop and a resume change nothing."""

import gzip
import hashlib
import json
import signal
from dataclasses import replace

import av
import cv2
import jsonschema
import numpy as np
import pytest

from engines.errors import EmptyFileError, NotMediaError, NoVideoError
from engines.settings import LimitsSettings
from pipeline.corrections import parse
from pipeline.errors import JobStopped, TooLargeError, TooLongError
from pipeline.fingerprint import source_identity
from pipeline.job import JobSpec
from pipeline.report.model import json_schema
from pipeline.runner import run_job
from pipeline.settings import SegmentSettings
from pipeline.workdir import CHECKPOINT
from tests.support.edit_lists import Cut, set_edits
from tests.support.kills import killed_while_rerendering, plans
from tests.support.recordings import copied_audio, packets, still, walk, write_audio, write_recording


def spec_for(source, work_dir, **fields):
    work_dir.mkdir(exist_ok=True)
    return JobSpec("job", source, source.name, work_dir, segments=SegmentSettings(seconds=1), **fields)


def run(spec, should_stop=lambda: False):
    progress = []
    result = run_job(spec, on_progress=progress.append, should_stop=should_stop)
    return result, progress


def rows(result):
    return [json.loads(line) for line in gzip.decompress(result.files.tracks.read_bytes()).splitlines()]


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return write_recording(tmp_path_factory.mktemp("source") / "two people.mp4", seconds=4)


@pytest.fixture(scope="module")
def finished(recording, tmp_path_factory):
    return run(spec_for(recording, tmp_path_factory.mktemp("finished")))


def test_the_output_has_the_sources_frames_and_audio(recording, finished):
    result, _ = finished
    with av.open(str(result.files.video)) as out:
        video, audio = out.streams.video[0], out.streams.audio[0]
        assert (video.codec_context.name, video.width, video.height) == ("h264", 1920, 1080)
        assert (video.profile, video.pix_fmt) == ("High", "yuv420p")
        assert audio.codec_context.name == "aac"
    base = lambda path: [pts for pts, _, _ in sorted(packets(path))]  # noqa: E731
    assert base(result.files.video) == base(recording)
    assert [data for _, _, data in packets(result.files.video, "audio")] == [
        data for _, _, data in copied_audio(recording)
    ]


def test_each_person_is_in_their_own_tile(finished):
    result, _ = finished
    for row in rows(result)[15:]:
        left, right = row["left"], row["right"]
        assert (left["person"], right["person"]) == (1, 2)
        assert left["face"][0] < 320 < right["face"][0]
        for tile in (left, right):
            x, y, w, h = tile["face"]
            cx, cy, cw, ch = tile["crop"]
            assert cx <= x and cy <= y and x + w <= cx + cw and y + h <= cy + ch


def test_the_report_obeys_its_schema_and_says_what_was_done(recording, finished):
    result, _ = finished
    report = json.loads(result.files.report.read_bytes())
    jsonschema.validate(report, json_schema())
    assert report["status"] == "succeeded"
    assert report["input"]["bytes"] == recording.stat().st_size
    assert report["output"]["frames"] == 120
    assert report["output"]["audio"]["mode"] == "copied"
    assert report["identity"]["people_seen"] == 2
    assert report["resilience"]["checkpoints"] == 4
    assert all(stage["total_s"] > 0 for stage in report["timing"]["stages"].values())


def test_progress_rises_to_the_end(finished):
    _, progress = finished
    assert [p.stage for p in progress if p.stage == "probe"]
    done = [p.seconds_done for p in progress if p.stage == "render"]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(4, abs=0.1)
    assert {p.stage for p in progress} >= {"probe", "render", "assemble", "verify"}


@pytest.mark.parametrize("stops", [[1], [1, 1, 1], [2, 1]])
def test_a_stopped_job_goes_on_as_if_nothing_had_happened(recording, finished, tmp_path, stops):
    work_dir = tmp_path / "work"
    for segments in stops:
        asked = iter([False] * (segments - 1) + [True] * 10)
        with pytest.raises(JobStopped):
            run(spec_for(recording, work_dir), should_stop=lambda asked=asked: next(asked))
    result, _ = run(spec_for(recording, work_dir))
    undisturbed, _ = finished
    assert packets(result.files.video) == packets(undisturbed.files.video)
    assert rows(result) == rows(undisturbed)
    assert result.files.preview.read_bytes() == undisturbed.files.preview.read_bytes()
    report = json.loads(result.files.report.read_bytes())
    assert len(report["resilience"]["resumed_at_s"]) == len(stops)
    assert report["identity"] == json.loads(undisturbed.files.report.read_bytes())["identity"]


def test_an_edited_recording_goes_on_as_if_nothing_had_happened(tmp_path):
    """Edits out of order, one of which ends where a segment does; audio and video are as long as the list says."""
    cuts = [Cut(1.0, 2.5), Cut(0.7, 0.3), Cut(0.6, 1.2)]
    source = set_edits(write_recording(tmp_path / "edited.mp4", seconds=4), cuts)
    whole, _ = run(spec_for(source, tmp_path / "whole"))
    asked = iter([False, True])
    with pytest.raises(JobStopped):
        run(spec_for(source, tmp_path / "parts"), should_stop=lambda: next(asked, True))
    resumed, _ = run(spec_for(source, tmp_path / "parts"))
    for kind in ("video", "audio"):
        assert packets(resumed.files.video, kind) == packets(whole.files.video, kind)
    report = json.loads(resumed.files.report.read_bytes())
    assert report["output"]["duration_s"] == pytest.approx(2.3, abs=0.01)
    assert report["output"]["audio"]["mode"] == "transcoded"
    with av.open(str(whole.files.video)) as out:
        assert out.streams.audio[0].duration * out.streams.audio[0].time_base == pytest.approx(2.3, abs=0.03)


def test_a_freeze_survives_a_resume(tmp_path):
    """The second person walks out; wherever the tile freezes or holds, a resumed job shows the same frames."""
    source = write_recording(tmp_path / "leaves.mp4", seconds=5, people=(walk(0.3, 0.6, 4), walk(0.7, 1.4, 1.5)))
    whole, _ = run(spec_for(source, tmp_path / "whole"))
    for _ in range(4):
        with pytest.raises(JobStopped):
            run(spec_for(source, tmp_path / "parts"), should_stop=lambda: True)
    result, _ = run(spec_for(source, tmp_path / "parts"))
    assert packets(result.files.video) == packets(whole.files.video)
    assert rows(result) == rows(whole)
    assert result.files.preview.read_bytes() == whole.files.preview.read_bytes()
    assert {row["right"]["source"] for row in rows(result)} & {"held", "frozen"}


def test_other_settings_start_over(recording, tmp_path):
    work_dir = tmp_path / "work"
    with pytest.raises(JobStopped):
        run(spec_for(recording, work_dir), should_stop=lambda: True)
    spec = spec_for(recording, work_dir)
    other = JobSpec(
        **{f: getattr(spec, f) for f in spec.__slots__} | {"profile": spec.profile.model_copy(update={"crf": 30})}
    )
    result, _ = run(other)
    assert json.loads(result.files.report.read_bytes())["resilience"]["resumed_at_s"] == []


def test_nobody_in_the_frame_is_delivered_and_said(tmp_path):
    source = write_recording(tmp_path / "room.mp4", seconds=1, people=(None, None), audio_track=False)
    result, _ = run(spec_for(source, tmp_path / "work"))
    report = json.loads(result.files.report.read_bytes())
    assert report["identity"]["people_seen"] == 0
    assert "Nobody" in report["verdict"]
    assert report["output"]["audio"]["mode"] == "none"
    assert report["output"]["layout"] == "single"
    assert {tuple(row[side]["crop"]) for row in rows(result) for side in ("left", "right")} == {
        (0, 0, 320, 360),
        (320, 0, 320, 360),
    }


def test_one_person_alone_is_shown_full_frame(tmp_path):
    source = write_recording(tmp_path / "solo.mp4", seconds=2, people=(still(0.3), None))
    result, _ = run(spec_for(source, tmp_path / "work", debug_overlay=True))
    report = json.loads(result.files.report.read_bytes())
    assert report["output"]["layout"] == "single"
    assert "One person" in report["verdict"]
    assert "full frame" in report["verdict"]
    assert {row["layout"] for row in rows(result)} == {"single"}
    with av.open(str(source)) as film, av.open(str(result.files.video)) as out:
        whole = cv2.resize(next(film.decode(video=0)).to_ndarray(format="gray"), (480, 270))
        shown = cv2.resize(next(out.decode(video=0)).to_ndarray(format="gray"), (480, 270))
    assert np.abs(whole.astype(float) - shown).mean() < 4, "the whole picture, in one piece"


def test_a_pin_splits_the_full_frame_for_its_span(tmp_path):
    source = write_recording(tmp_path / "solo.mp4", seconds=3, people=(still(0.3), None))
    run(spec_for(source, tmp_path / "work"))
    pins = parse("pins: [{tile: left, from: 1, to: 2, crop: [400, 0, 160, 180]}]")
    result, _ = run(replace(spec_for(source, tmp_path / "work", corrections=pins), job_id="a later job"))
    for row in rows(result):
        assert ("layout" in row) != (1 <= row["t"] < 2)
        if "layout" not in row:
            assert row["left"]["crop"] == [400, 0, 160, 180]
            assert row["right"]["face"] is not None, "the person moves to the other tile"
    assert json.loads(result.files.report.read_bytes())["output"]["layout"] == "single"


def late_arrival(path):
    """The second person comes into the picture in the second of four segments."""
    return write_recording(path, seconds=4, people=(still(0.28), walk(2.0, 0.4, 3.0)))


def test_full_frames_become_two_tiles_once_a_second_person_has_come(tmp_path):
    source = late_arrival(tmp_path / "late.mp4")
    result, _ = run(spec_for(source, tmp_path / "work"))
    assert json.loads(result.files.report.read_bytes())["output"]["layout"] == "split"
    assert not any("layout" in row for row in rows(result))
    assert rows(result)[0]["right"]["source"] == "frozen"
    assert "placeholder" not in {row[side]["source"] for row in rows(result) for side in ("left", "right")}


def test_a_kill_while_full_frames_become_two_tiles_changes_nothing(tmp_path):
    """SIGKILL in the second look at finished segments, after the first of them is rendered again."""
    source, work_dir = late_arrival(tmp_path / "late.mp4"), tmp_path / "parts"
    undisturbed, _ = run(spec_for(source, tmp_path / "whole"))
    spec = spec_for(source, work_dir)
    assert killed_while_rerendering(spec) == -signal.SIGKILL
    before = plans(spec)
    result, _ = run(spec)
    assert before[0] == plans(spec)[0], "it had been rendered again"
    assert before[1] != plans(spec)[1], "it had not"
    assert packets(result.files.video) == packets(undisturbed.files.video)
    assert rows(result) == rows(undisturbed)
    assert result.files.preview.read_bytes() == undisturbed.files.preview.read_bytes()


@pytest.mark.parametrize(
    ("content", "error"), [(b"", EmptyFileError), (b"This is a letter, not a film.\n" * 100, NotMediaError)]
)
def test_what_is_no_video_is_explained(tmp_path, content, error):
    path = tmp_path / "wrong.mp4"
    path.write_bytes(content)
    with pytest.raises(error):
        run(spec_for(path, tmp_path / "work"))


def test_audio_alone_is_explained(tmp_path):
    path = write_audio(tmp_path / "sound.m4a")
    with pytest.raises(NoVideoError):
        run(spec_for(path, tmp_path / "work"))


def test_limits_are_checked_before_anything_is_decoded(recording, tmp_path):
    with pytest.raises(TooLargeError):
        run(spec_for(recording, tmp_path / "a", limits=LimitsSettings(pixels=100 * 100)))
    with pytest.raises(TooLongError):
        run(spec_for(recording, tmp_path / "b", limits=LimitsSettings(duration_s=2)))


def test_the_debug_video_shows_the_source_with_what_was_seen(recording, tmp_path):
    result, _ = run(spec_for(recording, tmp_path / "work", debug_overlay=True))
    with av.open(str(result.files.debug)) as drawn, av.open(str(recording)) as source:
        assert (drawn.streams.video[0].width, drawn.streams.video[0].height) == (640, 360)
        pairs = list(zip(drawn.decode(video=0), source.decode(video=0), strict=True))
    assert [a.pts for a, _ in pairs] == [b.pts for _, b in pairs]
    a, b = (frame.to_ndarray(format="rgb24").astype(int) for frame in pairs[60])
    face = rows(result)[60]["left"]["face"]
    x, y, w, h = (round(v) for v in face)
    edge = abs(a - b)[y : y + h, x - 2 : x + 3].mean()
    inside = abs(a - b)[y + h // 3 : y + h // 2, x + w // 3 : x + w // 2].mean()
    assert edge > 4 * inside


def test_a_correction_renders_only_the_segments_that_it_changes(recording, finished, tmp_path):
    work_dir = tmp_path / "work"
    run(spec_for(recording, work_dir))
    before = {p.name: p.stat().st_mtime_ns for p in (work_dir / "segments").iterdir()}
    corrections = parse(
        "swap_spans: [{from: 1.2, to: 1.8}]\npins: [{tile: right, from: 3, to: 4, crop: [0, 0, 320, 360]}]"
    )
    result, _ = run(replace(spec_for(recording, work_dir, corrections=corrections), job_id="a later job"))
    after = {p.name: p.stat().st_mtime_ns for p in (work_dir / "segments").iterdir()}
    kept = {name for name in before if after.get(name) == before[name]}
    assert {name[:6] for name in kept} == {"000000", "000002"}
    corrected, plain = rows(result), rows(finished[0])
    for a, b in zip(corrected, plain, strict=True):
        exchanged = 1.2 <= a["t"] < 1.8
        assert a["left"] == (b["right"] if exchanged else b["left"])
        assert (a["right"]["crop"] == [0, 0, 320, 360]) == (a["t"] >= 3)
    resilience = json.loads(result.files.report.read_bytes())["resilience"]
    assert (resilience["reused_segments"], resilience["resumed_at_s"]) == (4, [])
    fresh, _ = run(spec_for(recording, tmp_path / "fresh", corrections=corrections))
    assert packets(fresh.files.video) == packets(result.files.video)


def padded(recording, path, byte):
    """The recording with a long box that no player reads, and one byte of it where no sample is taken."""
    box = bytearray(4_000_000)
    box[:8] = len(box).to_bytes(4, "big") + b"free"
    box[2_000_000] = byte
    path.write_bytes(recording.read_bytes() + box)
    return path


def test_work_on_a_source_that_only_looks_the_same_is_not_built_on(tmp_path):
    """A damaged copy was delivered; the good one has the same size and the same samples."""
    recording = write_recording(tmp_path / "x.mp4", seconds=2, fps=10, size=(320, 180))
    damaged, good = (padded(recording, tmp_path / f"{n}.mp4", n) for n in (0, 1))
    assert source_identity(damaged) == source_identity(good)
    work_dir = tmp_path / "work"
    checkpoint = work_dir / CHECKPOINT

    def reused(source, job_id):
        result, _ = run(replace(spec_for(source, work_dir), job_id=job_id))
        report = json.loads(result.files.report.read_bytes())
        assert report["input"]["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
        return report["resilience"]["reused_segments"]

    assert [reused(*job) for job in ((damaged, "1"), (good, "2"), (good, "3"))] == [0, 0, 2]
    envelope = json.loads(checkpoint.read_bytes())
    assert envelope["body"]["source_sha256"] == hashlib.sha256(good.read_bytes()).hexdigest()


def test_a_job_that_broke_off_leaves_work_that_the_next_one_builds_on(tmp_path):
    recording = write_recording(tmp_path / "x.mp4", seconds=3, fps=10, size=(320, 180))
    spec = spec_for(recording, tmp_path / "work")
    asked = iter([False, True])
    with pytest.raises(JobStopped):
        run(spec, lambda: next(asked))
    result, _ = run(replace(spec, job_id="a later job"))
    assert json.loads(result.files.report.read_bytes())["resilience"]["reused_segments"] == 2
