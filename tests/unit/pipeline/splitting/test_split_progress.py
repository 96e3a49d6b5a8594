"""The progress of parts adds up to that of the recording, and never goes back."""

from __future__ import annotations

import pytest

from pipeline.splitting.split_progress import SplitProgress


def test_all_stages_together_are_all_frames() -> None:
    progress = SplitProgress(100, 10.0)
    for part in range(3):
        for stage in ("detect", "render"):
            for _ in range(5):
                progress.add(part, stage, 10, 0.5)
    assert progress.frames == 100 + 150
    assert progress.seconds == pytest.approx(10 + 7.5)


def test_frames_and_seconds_keep_their_ratio_while_detection_is_ahead() -> None:
    progress = SplitProgress(0, 0.0)
    progress.add(0, "detect", 1000, 40.0)
    progress.add(0, "render", 100, 4.0)
    assert progress.frames / progress.seconds == pytest.approx(25)


def test_work_that_is_begun_again_does_not_count_twice() -> None:
    progress = SplitProgress(0, 0.0)
    progress.add(0, "render", 100, 4.0)
    progress.withdraw(0, "render")
    progress.add(0, "render", 60, 2.4)
    assert (progress.frames, progress.seconds) == (70, pytest.approx(2.8))
    progress.add(0, "render", 60, 2.4)
    assert (progress.frames, progress.seconds) == (84, pytest.approx(3.36))
