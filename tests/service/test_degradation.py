"""Degradation as people see it: a real service whose worker runs out of a GPU's memory, or of disk."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from tests.support.recordings import copied_audio, packets
from tests.support.service import Service, fill


def assert_whole(service: Service, recording: Path) -> None:
    """The delivered video has the source's audio and, to a frame, its length."""
    video = service.root / "outbox" / "x.dual.mp4"
    assert packets(video, "audio") == copied_audio(recording)
    times, source = (sorted(pts for pts, _, _ in packets(path)) for path in (video, recording))
    assert set(times) <= set(source)
    assert source[-1] - times[-1] <= source[1] - source[0]
    assert (service.root / "originals" / "x.mp4").read_bytes() == recording.read_bytes()


def test_every_step_is_visible_and_nothing_else_starts_meanwhile(
    make_service: Callable[..., Service], recording: Path, trouble: Callable[..., None]
) -> None:
    trouble(encoders=[1, 2])
    service = make_service(
        workers={"concurrent_jobs": 2},
        degradation={"cool_down_s": 1.0, "cool_down_longest_s": 1.0},
        profiles={"default": {"preset": "slower"}},  # so that each level lasts long enough to be seen
    )
    shutil.copy(recording, service.inbox("x.mp4"))
    service.start()
    service.wait_for(lambda: service.status().get("level") == "frame_skip", "the lower level")
    shutil.copy(recording, service.inbox("y.mp4"))
    (job,) = service.status()["running"]
    assert "ran out of memory" in job["level_reason"]
    assert job["level_trip"] == "out_of_memory"
    service.wait_for(lambda: any("level frame_skip" in line for line in service.notifications()), "STATUS=")
    service.wait_for(lambda: service.exists("originals/x.mp4") and service.exists("originals/y.mp4"), "both", 600)

    lines = [line for line in service.journal() if line.get("file") == "inbox/x.mp4"]
    assert [line["degradation"] for line in lines if line["event"] == "job degraded"] == ["downscale", "frame_skip"]
    assert {line["level"] for line in service.events("job degraded")} == {"warning"}
    report = service.report("outbox/x.dual.report.json")
    assert report["status"] == "succeeded_degraded"
    assert report["degradation"][0]["level"] == "frame_skip"
    assert report["resilience"]["dropped_frames"] > 0
    assert report["resilience"]["attempts"] == 1
    assert_whole(service, recording)

    events = [(line["event"], line.get("file"), line.get("degradation")) for line in service.journal()]
    began = events.index(("job started", "inbox/y.mp4", None))
    ended = [n for n, event in enumerate(events) if event[:2] == ("job delivered", "inbox/x.mp4")]
    normal = [n for n, event in enumerate(events) if event == ("job recovers", "inbox/x.mp4", "normal")]
    assert began > min(ended + normal)


def test_a_worker_that_is_killed_goes_on_at_its_level(
    make_service: Callable[..., Service], recording: Path, trouble: Callable[..., None]
) -> None:
    trouble(encoders=[1])
    service = make_service(degradation={"cool_down_s": 60.0, "cool_down_longest_s": 60.0})
    shutil.copy(recording, service.inbox("x.mp4"))
    service.start()
    service.wait_for(lambda: service.status().get("level") == "downscale", "the lower level")
    service.kill_workers()
    service.wait_for(lambda: service.exists("originals/x.mp4"), "the delivery")
    spans = service.report("outbox/x.dual.report.json")["degradation"]
    assert [span["level"] for span in spans] == ["downscale"]
    assert spans[0]["from_s"] == 1.0
    assert all(a["to_s"] <= b["from_s"] for a, b in pairwise(spans))
    assert_whole(service, recording)


def test_a_disk_that_is_full_for_a_while_ends_no_attempt_and_lowers_no_quality(
    small_disk: Path, recording: Path, undisturbed: list[tuple[int, int, bytes]]
) -> None:
    service = Service(small_disk.parent, workers={"stall_timeout_s": 4})
    ballast = service.root / "ballast"
    shutil.copy(recording, service.inbox("x.mp4"))
    service.start()
    try:
        service.wait_for(service.segments, "a segment")
        fill(ballast)
        service.wait_for(lambda: service.events("job waits for space"), "the pause")
        time.sleep(5)  # a worker that waits says so, and counts as alive
        ballast.unlink()
        service.wait_for(lambda: service.exists("originals/x.mp4"), "the delivery")
        assert service.events("job waits") == service.events("job degraded") == []
        assert packets(service.root / "outbox" / "x.dual.mp4") == undisturbed
        report = service.report("outbox/x.dual.report.json")
        assert report["status"] == "succeeded"
        assert {span["level"] for span in report["degradation"]} == {"pause"}
        assert "No space left" in report["degradation"][0]["reason"]
        assert (report["resilience"]["attempts"], len(service.events("job started"))) == (1, 1)
        assert_whole(service, recording)
    finally:
        service.close()
