"""The files of one inbox: the oldest first, settled files only, and scans in slices."""

from __future__ import annotations

from pathlib import Path

from tests.support.inbox import ManualClock, make_inbox, put, scan


def test_oldest_first(tmp_path: Path) -> None:
    clock = ManualClock()
    one = make_inbox(tmp_path, clock)
    for name, age_s in (("young.mp4", 1), ("old.mp4", 100), ("middle.mp4", 50)):
        put(tmp_path, name, age_s)
    scan(clock, one)
    order = []
    while candidate := one.oldest():
        order.append(candidate.relative)
        one.forget(candidate.relative)
    assert order == ["old.mp4", "middle.mp4", "young.mp4"]


def test_nothing_is_ready_before_it_has_settled(tmp_path: Path) -> None:
    clock = ManualClock()
    one = make_inbox(tmp_path, clock)
    put(tmp_path, "x.mp4", 0)
    one.advance(10)
    assert (one.ready, one.settling) == (0, 1)
    scan(clock, one)
    assert (one.ready, one.settling) == (1, 0)


def test_a_file_that_changes_or_goes_is_no_longer_ready(tmp_path: Path) -> None:
    clock = ManualClock()
    one = make_inbox(tmp_path, clock)
    put(tmp_path, "x.mp4", 0)
    put(tmp_path, "y.mp4", 0)
    scan(clock, one)
    put(tmp_path, "x.mp4", 0, b"longer")
    (tmp_path / "y.mp4").unlink()
    clock.now += 100
    one.advance(10)
    assert (one.ready, one.settling) == (0, 1)


def test_a_recording_waits_for_its_sidecar_to_settle(tmp_path: Path) -> None:
    clock = ManualClock()
    one = make_inbox(tmp_path, clock)
    put(tmp_path, "x.mp4", 0)
    put(tmp_path, "y.mp4", 0)
    scan(clock, one)
    put(tmp_path, "x.dualface.yaml", 0, b"swap: true")
    put(tmp_path, "alone.dualface.yaml", 0, b"swap: true")
    clock.now += 20
    one.advance(10)
    candidate = one.oldest()
    assert candidate is not None
    assert (candidate.relative, candidate.sidecar) == ("y.mp4", None)
    one.forget("y.mp4")
    assert one.oldest() is None
    scan(clock, one)
    assert one.ready == 2, "the recordings only"
    candidate = one.oldest()
    assert candidate is not None
    assert candidate.sidecar is not None
    assert candidate.sidecar.relative == "x.dualface.yaml"
    (tmp_path / "x.dualface.yaml").unlink()
    clock.now += 20
    one.advance(10)
    candidate = one.oldest()
    assert candidate is not None
    assert candidate.sidecar is None


def test_empty_files_wait_without_haste(tmp_path: Path) -> None:
    clock = ManualClock()
    one = make_inbox(tmp_path, clock)
    put(tmp_path, "x.mp4", 0, b"")
    scan(clock, one, times=30)
    assert (one.ready, one.settling) == (0, 0)
    clock.now += 1000
    scan(clock, one)
    assert one.ready == 1


def test_a_scan_can_be_cut_into_slices(tmp_path: Path) -> None:
    clock = ManualClock()
    one = make_inbox(tmp_path, clock)
    for number in range(50):
        put(tmp_path, f"{number}.mp4", number)
    one.advance(0)
    assert one.settling < 50
    for _ in range(60):
        one.advance(0)
    assert one.settling == 50
