"""Single frames are decoded again, and no more than is needed for them."""

from __future__ import annotations

import pytest

from engines.errors import DecodeFailedError
from pipeline.splitting.frame_reader import FrameReader
from tests.support.numbered_frames import STEP, NumberedDecoder, frame


class Decoders:
    """Opens decoders of 100 frames, and keeps them."""

    def __init__(self, *missing: int) -> None:
        self.opened: list[NumberedDecoder] = []
        self._missing = missing

    def open(self) -> NumberedDecoder:
        self.opened.append(NumberedDecoder(100, self._missing))
        return self.opened[-1]


def numbers(reader: FrameReader, *wanted: int) -> list[int]:
    found = [reader.frame(number * STEP) for number in wanted]
    assert [frame.pts for frame in found] == [number * STEP for number in wanted]
    return [int(frame.y[0, 0]) for frame in found]


def test_frames_in_nearly_rising_order_need_one_start() -> None:
    decoders = Decoders()
    reader = FrameReader(decoders.open, reach=8 * STEP)
    wanted = [3, 5, 4, 11, 10, 12, 19, 12, 20]
    assert numbers(reader, *wanted) == wanted
    assert (reader.starts, len(decoders.opened)) == (1, 1)
    assert decoders.opened[0].decoded < 24


def test_a_far_frame_and_one_long_ago_need_a_fresh_start() -> None:
    decoders = Decoders()
    reader = FrameReader(decoders.open, reach=8 * STEP)
    assert numbers(reader, 3, 60, 4) == [3, 60, 4]
    assert reader.starts == 3
    assert [decoder.closed for decoder in decoders.opened] == [True, True, False]
    assert sum(decoder.decoded for decoder in decoders.opened) <= 12


def test_memory_is_bounded() -> None:
    reader = FrameReader(Decoders().open, reach=80 * STEP, most_bytes=4 * frame(0).nbytes)
    assert numbers(reader, 0, 50, 47) == [0, 50, 47]
    assert reader.starts == 1
    assert numbers(reader, 46) == [46]
    assert reader.starts == 2


def test_a_frame_that_does_not_come_again_is_an_error() -> None:
    reader = FrameReader(Decoders(7).open, reach=8 * STEP)
    for _ in range(2):
        with pytest.raises(DecodeFailedError, match="pts 70"):
            reader.frame(7 * STEP)
    with pytest.raises(DecodeFailedError):
        reader.frame(200 * STEP)
    assert numbers(reader, 8) == [8]


def test_closing_closes_the_decoder() -> None:
    decoders = Decoders()
    reader = FrameReader(decoders.open, reach=8 * STEP)
    assert numbers(reader, 3) == [3]
    reader.close()
    assert decoders.opened[0].closed
    assert numbers(reader, 4) == [4]
