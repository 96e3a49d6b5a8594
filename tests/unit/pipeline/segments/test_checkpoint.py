"""Changes of a checkpoint."""

from __future__ import annotations

from pipeline.segments.checkpoint import Boundary, Checkpoint, Counters
from pipeline.segments.segment import SegmentRecord


def record(index: int) -> SegmentRecord:
    first = 300 * index
    return SegmentRecord(index, first, first + 299, 1, 300, 1000, "plan", "sha256", skipped=2)


def with_segments(*boundaries: Boundary) -> Checkpoint:
    checkpoint = Checkpoint("mark", "a")
    for index, boundary in enumerate(boundaries):
        checkpoint.add_segment(record(index), boundary, encoder="libx264", extradata=b"\x00\xff")
    return checkpoint


def test_a_segment_moves_the_boundary_behind_it() -> None:
    checkpoint = with_segments(Boundary(300, {"analysed_pts": 320}, 2, [310]))
    assert (checkpoint.next_pts, checkpoint.complete, checkpoint.checkpoints) == (300, False, 1)
    assert (checkpoint.analysis, checkpoint.skipped) == ({"analysed_pts": 320}, [310])
    assert (checkpoint.encoder, checkpoint.extradata) == ("libx264", "00ff")
    assert checkpoint.frames == 300


def test_the_last_segment_completes_it() -> None:
    checkpoint = with_segments(Boundary(300, {}, 2, []), Boundary(None, {}, 2, []))
    assert checkpoint.complete
    assert checkpoint.next_pts is None


def test_time_adds_up_and_counters_are_totals() -> None:
    checkpoint = with_segments(Boundary(300, {}, 2, []))
    checkpoint.add_figures(Counters(replaced_frames=1), {"a": 1}, wall_s=1.5)
    checkpoint.add_figures(Counters(replaced_frames=2), {"a": 2}, wall_s=2.0)
    assert (checkpoint.wall_s, checkpoint.counters.replaced_frames, checkpoint.timing) == (3.5, 2, {"a": 2})


def test_another_job_gets_the_segments_without_their_history() -> None:
    checkpoint = with_segments(Boundary(300, {}, 2, []))
    checkpoint.add_pause(3.0, "the disk is full")
    checkpoint.add_resume(5.0)
    checkpoint.hand_over("b")
    assert (checkpoint.job, checkpoint.reused_segments, checkpoint.frames) == ("b", 1, 300)
    assert (checkpoint.pauses, checkpoint.resumed_at_s, checkpoint.checkpoints) == ([], [], 0)


def test_a_job_that_starts_over_remembers_why_and_nothing_else() -> None:
    first = with_segments(Boundary(300, {}, 2, [])).restarted("a", "other hardware")
    second = first.restarted("a", "another encoder")
    assert second == Checkpoint("mark", "a", started_over=["other hardware", "another encoder"])
