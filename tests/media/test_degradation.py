"""Jobs that meet trouble go on at a lower level, and come back: real work, with errors where a GPU would make them."""

from __future__ import annotations

import errno
import gzip
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace

import jsonschema
import pytest
from structlog.testing import capture_logs

import pipeline.finishing
import pipeline.render_loop
import pipeline.runner
from engines.containers.source_file import SourceFile
from engines.errors import DeviceLostError, DeviceOutOfMemoryError, EncoderBusyError
from pipeline.corrections import parse
from pipeline.degradation.controller import Degradation
from pipeline.errors import DiskFullError, JobStopped
from pipeline.job import JobSpec
from pipeline.report.model import json_schema
from pipeline.segments.segment import SegmentWriter
from pipeline.settings import DegradationSettings, LowestLevelSettings, ProfileSettings, SegmentSettings
from tests.fakes.troubled import Plan
from tests.support.damage import spoil, zeroed
from tests.support.recordings import packets, write_recording

FPS, SECONDS = 11, 6  # an odd number of frames in a segment
FAST = ProfileSettings(preset="ultrafast")
QUICK = DegradationSettings(
    cool_down_s=0.05, cool_down_longest_s=0.2, probation_segments=2, surface_pixels=160 * 120, disk_low_bytes=0
)


def memory():
    return DeviceOutOfMemoryError("The GPU ran out of memory while testing.")


@dataclass
class Run:
    """A job under a plan: what it said, and what came out."""

    plan: Plan
    result: object = None
    progress: list = field(default_factory=list)
    logs: list = field(default_factory=list)

    @property
    def report(self):
        return json.loads(self.result.files.report.read_bytes())

    @property
    def rows(self):
        return [json.loads(line) for line in gzip.decompress(self.result.files.tracks.read_bytes()).splitlines()]

    @property
    def times(self):
        return [pts for pts, _, _ in sorted(packets(self.result.files.video))]

    @property
    def audio(self):
        return packets(self.result.files.video, "audio")

    @property
    def levels(self):
        """Levels in the order in which progress showed them."""
        seen = []
        for p in self.progress:
            if p.stage in ("render", "wait") and seen[-1:] != [p.level]:
                seen.append(p.level)
        return seen

    @property
    def spans(self):
        return [(s["from_s"], s["to_s"], s["level"]) for s in self.report["degradation"]]


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "two people.mp4"
    return write_recording(path, seconds=SECONDS, fps=FPS, size=(320, 240))


@pytest.fixture
def run(recording, tmp_path, monkeypatch):
    """Runs the job in one work directory; a plan's trouble happens once."""

    def run(plan=None, should_stop=lambda: False, settings=QUICK, **fields):
        plan = plan or Plan()
        monkeypatch.setattr(pipeline.render_loop, "open_backend", plan.open)
        work_dir = tmp_path / fields.pop("folder", "work")
        work_dir.mkdir(exist_ok=True)
        spec = JobSpec(
            "job",
            recording,
            recording.name,
            work_dir,
            profile=FAST,
            segments=SegmentSettings(seconds=1),
            degradation=settings,
        )
        done = Run(plan)
        with capture_logs() as done.logs:
            done.result = pipeline.runner.run_job(
                replace(spec, **fields), on_progress=done.progress.append, should_stop=should_stop
            )
        assert set(plan.alive.values()) == {0}
        return done

    run.folder = tmp_path
    return run


@pytest.fixture(scope="module")
def undisturbed(recording, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp("undisturbed")
    spec = JobSpec("job", recording, recording.name, work_dir, profile=FAST, segments=SegmentSettings(seconds=1))
    return Run(Plan(), pipeline.runner.run_job(spec, on_progress=lambda _: None, should_stop=lambda: False))


def test_a_job_without_trouble_is_the_job_it_was(run, undisturbed):
    done = run()
    assert packets(done.result.files.video) == packets(undisturbed.result.files.video)
    assert (done.report["status"], done.report["degradation"]) == ("succeeded", [])
    assert done.levels == ["normal"]
    assert done.plan.surfaces == [(320, 240)]


def test_out_of_memory_makes_the_work_smaller_and_nothing_else(run, undisturbed):
    done = run(Plan(encoders={2: memory}))
    report = done.report
    jsonschema.validate(report, json_schema())
    assert report["status"] == done.result.status == "succeeded_degraded"
    assert done.spans == [(2.0, 4.0, "downscale")]
    assert "ran out of memory" in report["degradation"][0]["reason"]
    assert "ran out of memory" in report["verdict"]
    assert done.times == undisturbed.times
    assert done.audio == undisturbed.audio
    assert report["resilience"]["dropped_frames"] == 0
    assert (report["output"]["video"]["width"], report["output"]["video"]["height"]) == (1920, 1080)
    assert done.plan.surfaces == [(320, 240), (160, 120), (320, 240)]
    assert [shape[1] for shape in done.plan.inputs] == [640, 320, 640]
    assert max(done.plan.batches[320, 240]) == 4
    assert max(done.plan.batches[160, 120]) == 1
    assert done.levels == ["normal", "downscale", "normal"]
    assert done.plan.counts["openings"] == 3


def test_packets_before_the_trouble_are_those_of_an_undisturbed_job(run, undisturbed):
    done = run(Plan(frames={3 * FPS + 5: memory}))
    second = undisturbed.times[FPS] - undisturbed.times[0]
    before = [[p for p in packets(r.result.files.video) if p[0] < 3 * second] for r in (done, undisturbed)]
    assert len(before[0]) == 3 * FPS
    assert before[0] == before[1]
    assert done.times == undisturbed.times


def test_frame_skip_shows_every_second_frame_at_its_own_time(run, undisturbed):
    done = run(Plan(encoders={1: memory, 2: memory}))
    assert [level for _, _, level in done.spans] == ["frame_skip", "downscale"]
    assert done.levels == ["normal", "downscale", "frame_skip", "downscale", "normal"]
    report = done.report
    dropped = report["resilience"]["dropped_frames"]
    assert dropped > 0
    assert len(done.times) == report["output"]["frames"] == len(undisturbed.times) - dropped
    assert set(done.times) < set(undisturbed.times)
    gaps = Counter(b - a for a, b in zip(done.times, done.times[1:], strict=False))
    step = undisturbed.times[1] - undisturbed.times[0]
    assert gaps[2 * step] == dropped
    assert set(gaps) == {step, 2 * step}
    assert done.audio == undisturbed.audio
    assert report["output"]["duration_s"] == pytest.approx(undisturbed.report["output"]["duration_s"], abs=1 / FPS)
    assert [row["frame"] for row in done.rows] == list(range(len(done.times)))


def test_a_pause_releases_the_device_and_tries_again(run, undisturbed, monkeypatch):
    plan = Plan(encoders={n: memory for n in (1, 2, 3)})
    open_parts = []
    wait_until_ready = Degradation.wait_until_ready

    def watching(self, interruption, on_wait):
        def beat():
            open_parts.append(dict(plan.alive))
            on_wait()

        wait_until_ready(self, interruption, beat)

    monkeypatch.setattr(Degradation, "wait_until_ready", watching)
    done = run(plan)
    assert "pause" in done.levels
    assert done.spans[0] == (1.0, 1.0, "pause")
    assert len(open_parts) > 3
    assert {count for parts in open_parts for count in parts.values()} == {0}
    assert done.audio == undisturbed.audio
    assert done.report["output"]["duration_s"] == pytest.approx(undisturbed.report["output"]["duration_s"], abs=1 / FPS)


def test_each_step_is_in_the_journal(run):
    done = run(Plan(encoders={2: memory}))
    steps = [line for line in done.logs if line["event"].startswith("job ")]
    logged = [(line["log_level"], line["event"], line["degradation"]) for line in steps]
    assert logged == [("warning", "job degraded", "downscale"), ("info", "job recovers", "normal")]
    (warning,) = [line for line in done.logs if line["log_level"] == "warning"]
    assert (warning["at_s"], warning["before"], warning["trip"]) == (2.0, "normal", "out_of_memory")
    assert {(p.level, p.trip) for p in done.progress if p.stage == "render"} == {
        ("normal", ""), ("downscale", "out_of_memory"),
    }  # fmt: skip


def test_errors_that_are_none_end_the_attempt(run):
    with pytest.raises(DeviceLostError):
        run(Plan(encoders={1: lambda: DeviceLostError("The GPU's context broke")}))


def test_a_busy_encoder_changes_no_level(run, undisturbed):
    """What it leads to is tested with an encoder of a GPU's kind: test_encoder_pinned."""
    done = run(Plan(encoders={1: lambda: EncoderBusyError("No encoder session came free in 30 s")}))
    assert (done.levels, done.report["degradation"]) == (["normal"], [])
    assert packets(done.result.files.video) == packets(undisturbed.result.files.video)


def test_trouble_that_never_ends_ends_the_attempt_after_some_pauses(run):
    plan = Plan(encoders={n: memory for n in range(1, 100)})
    with pytest.raises(DeviceOutOfMemoryError):
        run(plan)
    assert plan.counts["encoders"] == 1 + 2 + 1 + QUICK.pauses_max
    again = Plan(encoders={0: memory})
    with pytest.raises(DeviceOutOfMemoryError):
        run(again)
    assert again.counts["encoders"] == 1, "the next attempt is a short one"
    done = run()
    assert done.report["status"] == "succeeded_degraded"
    assert done.report["resilience"]["resumed_at_s"] == [1.0]


def test_the_gpu_over_its_guard_is_a_trip_at_the_end_of_a_segment(run, undisturbed):
    done = run(Plan(strains={0: "80% of the GPU's memory are in use"}))
    assert done.spans == [(1.0, 3.0, "downscale")]
    assert {p.trip for p in done.progress if p.level == "downscale"} == {"vram_guard"}
    assert done.times == undisturbed.times
    assert done.plan.counts["encoders"] == SECONDS, "no segment is made twice"


def test_slow_work_is_a_trip(run, undisturbed):
    done = run(settings=QUICK.model_copy(update={"frame_latency_s": 1e-6, "cool_down_s": 0.01}))
    assert [level for _, _, level in done.spans] == ["downscale", "frame_skip"]
    assert done.report["resilience"]["dropped_frames"] > 0
    assert done.audio == undisturbed.audio


FULL = {
    "ENOSPC": lambda: OSError(errno.ENOSPC, "No space left on device"),
    "EDQUOT": lambda: DiskFullError("writing a segment failed: Disk quota exceeded"),
}


@pytest.mark.parametrize("trouble", FULL.values(), ids=FULL)
def test_a_full_disk_is_waited_for_and_changes_no_packet(run, undisturbed, trouble):
    done = run(Plan(encoders={n: trouble for n in (1, 2, 3, 7)}))
    assert packets(done.result.files.video) == packets(undisturbed.result.files.video)
    assert done.rows == undisturbed.rows
    assert {p.level for p in done.progress} == {"normal"}
    assert all("free)" in p.lacks for p in done.progress if p.stage == "space")
    assert "space" in {p.stage for p in done.progress}
    report = done.report
    jsonschema.validate(report, json_schema())
    assert report["status"] == done.result.status == "succeeded"
    assert done.spans == [(1.0, 1.0, "pause"), (4.0, 4.0, "pause")]
    assert "paused 2 times" in report["verdict"]
    assert "reduced quality" not in report["verdict"]
    assert (done.result.facts["pauses"], done.result.facts["degraded_s"]) == (2, 0)


def test_a_full_disk_leaves_the_level_that_other_trouble_led_to(run):
    done = run(Plan(encoders={1: memory, 3: FULL["ENOSPC"]}))
    assert {p.level for p in done.progress if p.stage == "space"} == {"downscale"}
    assert [level for _, _, level in done.spans if level != "pause"] == ["downscale"]


def test_little_space_ends_the_attempt_after_the_stated_time_and_the_next_gives_the_same(run, undisturbed):
    tight = QUICK.model_copy(update={"disk_low_bytes": 2**40, "disk_wait_s": 0.3})
    with pytest.raises(DiskFullError, match=r"MiB needed: degradation\.disk_low_bytes"):
        run(settings=tight)
    done = run()
    assert packets(done.result.files.video) == packets(undisturbed.result.files.video)


def test_assembly_waits_for_space(run, undisturbed, monkeypatch):
    """The finished video needs room once more, beside the segments."""
    refusals = [OSError(errno.ENOSPC, "No space left on device")]
    assemble = pipeline.finishing.assemble

    def refusing(order):
        if refusals:
            raise refusals.pop()
        return assemble(order)

    monkeypatch.setattr(pipeline.finishing, "assemble", refusing)
    done = run()
    assert packets(done.result.files.video) == packets(undisturbed.result.files.video)
    assert done.spans == [(6.0, 6.0, "pause")]
    assert done.report["status"] == "succeeded"


class SlowDisk:
    """Every read and write takes a thousand seconds, on a clock that each thread has for itself."""

    def __init__(self, monkeypatch):
        self._lost = threading.local()
        clock, opening = time.perf_counter, SourceFile.__init__

        def opened(source, path):
            opening(source, path)
            source._file = SlowFile(source._file, self)

        monkeypatch.setattr(time, "perf_counter", lambda: clock() + getattr(self._lost, "seconds", 0.0))
        monkeypatch.setattr(SourceFile, "__init__", opened)
        for name in ("add_row", "add_packets"):
            monkeypatch.setattr(SegmentWriter, name, self.slow(getattr(SegmentWriter, name)))

    def slow(self, call):
        def slowly(*arguments):
            self._lost.seconds = getattr(self._lost, "seconds", 0.0) + 1000.0
            return call(*arguments)

        return slowly


class SlowFile:
    def __init__(self, file, disk):
        self.read = disk.slow(lambda size: file.read(min(size, 256)))  # for nearly every frame once
        self.seek, self.tell = file.seek, file.tell


def test_a_slow_disk_is_no_slow_work(run, undisturbed, monkeypatch):
    SlowDisk(monkeypatch)
    done = run(settings=QUICK.model_copy(update={"frame_latency_s": 500.0}))
    assert packets(done.result.files.video) == packets(undisturbed.result.files.video)
    assert done.spans == []
    stages = done.report["timing"]["stages"]
    assert min(stages[stage]["total_s"] for stage in ("decode", "encode")) > 1000, "it was slow"


def test_a_stop_while_it_waits(run):
    settings = QUICK.model_copy(update={"cool_down_s": 60.0, "cool_down_longest_s": 60.0})
    plan = Plan(encoders={1: memory, 2: memory})
    asked = []

    def should_stop():
        asked.append(plan.counts["encoders"])
        return plan.counts["encoders"] == 3

    with pytest.raises(JobStopped):
        run(plan, should_stop=should_stop, settings=settings)
    assert plan.counts["encoders"] == 3


def test_a_degraded_job_that_is_stopped_goes_on_at_its_level(run):
    """The same steps, in one go and in two: the same packets."""
    settings = QUICK.model_copy(update={"probation_segments": 100})
    whole = run(Plan(encoders={1: memory, 2: memory}), settings=settings, folder="whole")
    plan = Plan(encoders={1: memory, 2: memory})
    with pytest.raises(JobStopped):
        run(plan, lambda: plan.counts["encoders"] == 5, settings=settings)
    done = run(settings=settings)
    assert packets(done.result.files.video) == packets(whole.result.files.video)
    assert done.rows == whole.rows
    assert done.report["resilience"]["dropped_frames"] == whole.report["resilience"]["dropped_frames"]
    assert [level for _, _, level in done.spans] == ["frame_skip"]


def test_a_correction_of_a_degraded_job_keeps_its_times(run, undisturbed):
    done = run(Plan(encoders={1: memory, 2: memory}))
    before, audio = done.times, done.audio
    corrections = parse("swap: true")
    again = run(corrections=corrections, job_id="a later job")
    assert again.times == before
    assert again.audio == audio
    assert again.report["status"] == "succeeded_degraded"
    assert again.report["output"]["duration_s"] == done.report["output"]["duration_s"]


def test_the_debug_video_of_a_degraded_job(run):
    done = run(Plan(encoders={1: memory, 2: memory}), debug_overlay=True)
    assert len(packets(done.result.files.debug)) == len(done.times)


SPOILED = {"a second": (2 * FPS + 1, 3 * FPS + 2), "three seconds": (FPS + 5, 4 * FPS + 5)}


@pytest.fixture(scope="module", params=SPOILED)
def damaged(request, recording, tmp_path_factory):
    """The recording with a stretch that cannot be decoded; every keyframe is a second from the last."""
    path = tmp_path_factory.mktemp("damaged") / "damaged.mp4"
    path.write_bytes(recording.read_bytes())
    spoil(path, range(*SPOILED[request.param]), zeroed)
    return path


def test_a_damaged_recording_is_the_same_in_one_go_and_in_many(run, undisturbed, damaged):
    calm = QUICK.model_copy(update={"lowest": LowestLevelSettings(decoder_errors="normal")})
    whole = run(settings=calm, folder="whole", source=damaged)
    for segments in range(1, SECONDS):
        plan = Plan()
        with pytest.raises(JobStopped):
            run(plan, lambda plan=plan: plan.counts["encoders"] == 1, settings=calm, source=damaged)
        assert len(list((run.folder / "work" / "segments").glob("*.h264"))) == segments
    done = run(settings=calm, source=damaged)
    assert packets(done.result.files.video) == packets(whole.result.files.video)
    assert done.rows == whole.rows
    assert done.times == undisturbed.times
    resilience = done.report["resilience"]
    assert resilience["replaced_frames"] == whole.report["resilience"]["replaced_frames"] >= FPS
    assert len(resilience["resumed_at_s"]) == SECONDS - 1
    for row in done.rows[-FPS:]:
        assert (row["left"]["person"], row["right"]["person"]) == (1, 2), "everybody is where they were"


def test_many_undecodable_frames_are_a_trip(run, undisturbed, damaged):
    done = run(source=damaged)
    assert {p.trip for p in done.progress if p.level != "normal"} == {"decoder_errors"}
    assert "could not be decoded" in done.report["degradation"][0]["reason"]
    assert "pause" not in done.levels
    assert done.audio == undisturbed.audio


def test_an_attempt_that_ends_before_its_first_segment_leaves_its_level_to_the_next(run, undisturbed):
    def lost():
        return DeviceLostError("The GPU is gone.")

    with pytest.raises(DeviceLostError):
        run(Plan(encoders={0: memory}, openings={1: lost}))
    done = run()
    assert done.levels[0] == "downscale"
    assert done.report["status"] == "succeeded_degraded"
    assert done.report["resilience"]["resumed_at_s"] == []
    assert done.times == undisturbed.times
