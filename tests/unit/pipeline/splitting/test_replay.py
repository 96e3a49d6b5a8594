"""Tables give the answers that the frames would give; what they lack is decoded again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

from engines.frames import Frame, Rect
from pipeline.splitting.frame_reader import FrameReader
from pipeline.splitting.recorder import RecordingFinder
from pipeline.splitting.replay import ReplayFinder, TableDecoder
from pipeline.splitting.table import DetectionTable, recorded
from tests.support.numbered_frames import STEP, TIME_BASE, BrightnessFinder, NumberedDecoder, frame

SIZE, LUMA = (64, 36), (48, 27)


def table(numbers: Iterable[int]) -> DetectionTable:
    """What a part worker records of some frames; the detector runs on the even ones."""
    made = DetectionTable()
    finder = RecordingFinder(BrightnessFinder(), made, lambda face: face.box.x % 1 == 0.5)  # type: ignore[arg-type]
    frames = [frame(number) for number in numbers]
    made.frames += [recorded(each) for each in frames]
    finder.look(frames, [each.pts // STEP % 2 == 0 for each in frames], SIZE)
    finder.begin_luma(frames[0], LUMA)()
    return made


class Replay:
    """Twenty frames in tables of five, and their replay."""

    def __init__(self, forget: Callable[[DetectionTable], None] = lambda _: None) -> None:
        tables = [table(range(begin, begin + 5)) for begin in range(0, 20, 5)]
        for each in tables:
            forget(each)
        self.decoder = TableDecoder(iter(tables), TIME_BASE)
        self.reader = FrameReader(lambda: NumberedDecoder(20), reach=8 * STEP)
        self.finder = ReplayFinder(BrightnessFinder(), self.decoder, self.reader)  # type: ignore[arg-type]

    def frames(self) -> list[Frame]:
        return [each for batch in self.decoder.batches() for each in batch.frames]


def answers(finder: Any, frames: list[Frame]) -> list[Any]:
    """Everything that an analysis may ask about some frames."""
    thumbnails, found = finder.look(frames, [True] * len(frames), SIZE)
    faces = [(each, face) for each, known in zip(frames, found, strict=True) for face in known]
    close = [finder.find_close(each, Rect(0.125, 0, 8, 8), 0.5) for each in frames]
    regions = [finder.region(each, Rect(0, 0, 8, 8)).frame.y for each in frames]
    luma = [finder.begin_luma(each, LUMA)() for each in frames]
    completed = finder.complete(frames, [number % 2 == 0 for number in range(len(frames))], [None] * len(frames))
    return [thumbnails, found, close, completed, finder.embed(faces), regions, luma]


def equal(a: list[Any], b: list[Any]) -> bool:
    return repr(a[1:4]) == repr(b[1:4]) and all(np.array_equal(a[k], b[k]) for k in (0, 4, 5, 6))


def test_all_frames_come_in_the_batches_that_are_asked_for() -> None:
    batches = list(Replay().decoder.batches(2 * STEP, 2))
    assert [each.pts // STEP for batch in batches for each in batch.frames] == list(range(2, 20))
    assert {len(batch) for batch in batches} <= {1, 2}
    assert {each.duration for batch in batches for each in batch.frames} == {STEP}


FORGET: dict[str, Callable[[DetectionTable], None]] = {
    "nothing": lambda _: None,
    "thumbnails": lambda table: table.thumbnails.clear(),
    "faces": lambda table: table.faces.clear(),
    "luma": lambda table: table.luma.clear(),
    "chips": lambda table: table.chips.clear(),
}


@pytest.mark.parametrize("what", FORGET)
def test_the_answers_are_those_of_the_frames_whatever_a_table_lacks(what: str) -> None:
    replay = Replay(FORGET[what])
    for batch in replay.decoder.batches(size=2):
        frames = [frame(each.pts // STEP) for each in batch.frames]
        assert equal(answers(replay.finder, list(batch.frames)), answers(BrightnessFinder(), frames))


def test_frames_of_tables_long_ago_are_decoded_again() -> None:
    replay = Replay()
    first = replay.frames()[:2]
    assert equal(answers(replay.finder, first), answers(BrightnessFinder(), [frame(0), frame(1)]))


def test_what_a_table_knows_is_not_decoded() -> None:
    replay = Replay()
    for batch in replay.decoder.batches(size=5):
        frames = list(batch.frames)
        even = [each.pts // STEP % 2 == 0 for each in frames]
        _, found = replay.finder.look(frames, even, SIZE)
        known = [(each, faces[0]) for each, faces in zip(frames, found, strict=True) if faces]
        replay.finder.embed(known)
        replay.finder.begin_luma(frames[0], LUMA)()
    assert (replay.finder.misses, replay.reader.starts) == (0, 0)


def test_each_question_without_an_answer_counts() -> None:
    replay = Replay()
    (first, *_), *_ = (list(batch.frames) for batch in replay.decoder.batches(size=5))
    replay.finder.find_close(first, Rect(0, 0, 8, 8), 0.5)
    replay.finder.begin_luma(first, (10, 10))()
    assert replay.finder.misses == 2


def test_a_frame_keeps_its_own_times_when_it_is_decoded_again() -> None:
    """After a change of the frame rate it has other times than in the file."""
    replay = Replay()
    first = replay.frames()[0]
    moved = recorded(first)
    object.__setattr__(moved, "pts", 77)
    assert replay.finder.region(moved, Rect(0, 0, 8, 8)).frame.y[0, 0] == 0
