"""Looking ahead: what was seen is not looked for again, what was not seen is, and old things are forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from engines.frames import Frame, FrameBatch, Rect
from pipeline.detection.look_ahead import LookAhead
from pipeline.people import Face
from pipeline.telemetry.timing import JobTelemetry

SIZE = (4, 3)
EMPTY = np.zeros((2, 2), np.uint8)


def frame(pts: int) -> Frame:
    return Frame(EMPTY, EMPTY, pts, 1)


def face(pts: int) -> tuple[Face, ...]:
    return (Face(Rect(pts, 0, 1, 1), 1.0, ()),)


class Finder:
    """Finds one face in each frame, at its pts; ``asked`` are the pts of the frames that it has looked at."""

    can_embed = True

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.thumbnails = 0

    def look(self, frames: Sequence[Frame], wanted: Sequence[bool], size: Any) -> tuple[np.ndarray, list[Any]]:
        self.thumbnails += len(frames)
        return np.stack([np.full(size[::-1], f.pts, np.uint8) for f in frames]), self.complete(
            frames, wanted, [None] * len(frames)
        )

    def complete(self, frames: Sequence[Frame], wanted: Sequence[bool], found: Sequence[Any]) -> list[Any]:
        complete = []
        for one, is_wanted, known in zip(frames, wanted, found, strict=True):
            if is_wanted and known is None:
                self.asked.append(one.pts)
            complete.append((known or face(one.pts)) if is_wanted else None)
        return complete


@pytest.fixture
def finder() -> Finder:
    return Finder()


@pytest.fixture
def ahead(finder: Finder) -> LookAhead:
    return LookAhead(finder, SIZE, JobTelemetry())  # type: ignore[arg-type]


def look_ahead(ahead: LookAhead, *batches: range, every: int = 2) -> None:
    given = [FrameBatch(tuple(map(frame, pts)), Fraction(1, 30)) for pts in batches]
    assert list(ahead.run(given, lambda frames: [f.pts % every == 0 for f in frames])) == given


def test_what_was_seen_is_not_looked_for_again(ahead: LookAhead, finder: Finder) -> None:
    look_ahead(ahead, range(4), range(4, 8))
    assert finder.asked == [0, 2, 4, 6]
    frames = [frame(pts) for pts in range(4, 8)]
    thumbnails, found = ahead.look(frames, [True, False, False, False], SIZE)
    assert thumbnails.shape == (4, 3, 4)
    assert thumbnails[:, 0, 0].tolist() == [4, 5, 6, 7]
    assert found == [face(4), None, None, None]
    assert ahead.complete(frames, [True, False, True, False], found) == [face(4), None, face(6), None]
    assert (finder.asked, finder.thumbnails) == ([0, 2, 4, 6], 8)


def test_what_was_not_seen_is_looked_for(ahead: LookAhead, finder: Finder) -> None:
    look_ahead(ahead, range(4))
    _, found = ahead.look([frame(pts) for pts in range(4)], [True, True, False, False], SIZE)
    assert found == [face(0), face(1), None, None]
    assert finder.asked == [0, 2, 1]
    thumbnails, found = ahead.look([frame(3), frame(9)], [False, True], SIZE)
    assert thumbnails[:, 0, 0].tolist() == [3, 9]
    assert found == [None, face(9)]


def test_a_frame_that_was_left_out_is_forgotten(ahead: LookAhead) -> None:
    look_ahead(ahead, range(100), every=50)
    ahead.look([frame(98), frame(99)], [False, False], SIZE)
    assert list(ahead._seen) == [98, 99]


def test_the_time_it_takes_counts_as_the_detectors(finder: Finder) -> None:
    telemetry = JobTelemetry()
    look_ahead(LookAhead(finder, SIZE, telemetry), range(4))  # type: ignore[arg-type]
    assert telemetry.timers["detect"].total_s > 0
    assert telemetry.timers["detect"].percentile_ms(50) == 0  # the analysis counts the frames
    assert len(telemetry.stats_collector.finish_frames(range(4))) == 4
