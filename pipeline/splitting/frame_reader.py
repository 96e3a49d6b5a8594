"""Decodes single frames again, and short stretches of them without starting anew."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

from engines.errors import DecodeFailedError
from engines.frames import Frame
from engines.protocols import Decoder

_BATCH = 4


class FrameReader:
    """Returns frames by their pts, cheaply where they are asked for in nearly rising order.

    Args:
        reach: ticks: a frame at most so far ahead is decoded on the way; a farther one by a fresh start. Frames of as
            long a stretch behind the newest one are kept.
        most_bytes: of the frames that are kept.
    """

    def __init__(self, open_decoder: Callable[[], Decoder], reach: int, *, most_bytes: int = 256 << 20) -> None:
        self._open_decoder = open_decoder
        self._reach = reach
        self._most_bytes = most_bytes
        self._decoder: Decoder | None = None
        self._frames: Iterator[Frame] = iter(())
        self._recent: OrderedDict[int, Frame] = OrderedDict()
        self._newest: int | None = None
        self.starts = 0

    def frame(self, pts: int) -> Frame:
        """Return the frame with this pts.

        Raises:
            DecodeFailedError: there is none.
        """
        if (known := self._recent.get(pts)) is not None:
            return known
        if self._newest is None or not self._newest < pts <= self._newest + self._reach:
            self._start(pts)
        for frame in self._frames:
            self._keep(frame)
            if frame.pts >= pts:
                break
        if pts not in self._recent:
            raise DecodeFailedError(f"The frame at pts {pts} could not be decoded a second time.")
        return self._recent[pts]

    def close(self) -> None:
        """Close the decoder."""
        self._frames, self._newest = iter(()), None
        self._recent.clear()
        if self._decoder is not None:
            self._decoder.close()
            self._decoder = None

    def _start(self, pts: int) -> None:
        self.close()
        self.starts += 1
        self._decoder = self._open_decoder()
        self._frames = (frame for batch in self._decoder.batches(pts, _BATCH) for frame in batch.frames)

    def _keep(self, frame: Frame) -> None:
        self._recent[frame.pts] = frame
        self._newest = frame.pts
        most = max(2, self._most_bytes // max(1, frame.nbytes))
        while len(self._recent) > most or next(iter(self._recent)) < frame.pts - self._reach:
            self._recent.popitem(last=False)
