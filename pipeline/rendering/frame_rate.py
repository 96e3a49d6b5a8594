"""The output's frame rate: which frames of the source become frames of the output, and at which times.

``frame_rate: source`` keeps the source's frames with their own times. If the source is faster than ``max_fps``, every
n-th frame is kept, with the smallest sufficient n, so that movement stays even. If the source is only a little faster,
that would drop too many frames, so the first frame of each 1 / ``max_fps`` is kept. If a source of variable rate is
faster only at times, frames are dropped only there.

``frame_rate: constant`` puts frames onto a grid that begins with the first one. Each place of the grid shows the frame
that the source shows half a step later. So a frame is at most half a step away from its time, and small irregularities
of the source neither repeat nor drop a frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain

from engines.frames import Frame, FrameBatch, MediaInfo, VideoInfo
from engines.protocols import Decoder
from pipeline.settings import ProfileSettings

COMMON_FPS = tuple(
    Fraction(fps)
    for fps in ("24000/1001", "24", "25", "30000/1001", "30", "50", "60000/1001", "60", "100", "120000/1001", "120")
)
_NEAR = Fraction(1, 100)  # rates that differ by less count as equal: clocks of recorders are not exact
_LITTLE = Fraction(7, 5)  # times max_fps: up to this rate, single frames are dropped in place of every second one
_JITTER = Fraction(3, 4)  # of the shortest allowed step: frames of an uneven source may follow so soon
_LEAST_TICKS_PER_S = 10_000  # a grid's ticks: fine enough for the offset between audio and video
_LOOK_BACK_S = (1, 10, 100, None)  # how far before a grid place to search for its frame; None: from the start


@dataclass(frozen=True, slots=True)
class OutputRate:
    """How the output's frames are made from the source's.

    Attributes:
        source: what the source holds.
        info: what the source would hold if its frames were exactly the output's.
        is_constant: frames lie on a grid with a step of 1 / fps.
        least_step_s: frames that follow the last kept one sooner are dropped; None drops none.
        slot_s: only the first frame in each interval of this length is kept; None keeps all.
    """

    source: MediaInfo
    info: MediaInfo
    is_constant: bool = False
    least_step_s: Fraction | None = None
    slot_s: Fraction | None = None

    @property
    def fps(self) -> Fraction:
        """Mean rate of the output."""
        return self.info.video.fps

    @property
    def thinned_from_fps(self) -> Fraction | None:
        """The source's rate if the output's is lower, else None."""
        fps = self.source.video.fps
        return fps if self.fps < fps * (1 - _NEAR) else None

    def batches(self, decoder: Decoder, start_pts: int | None = None, size: int = 8) -> Iterator[FrameBatch]:
        """Yield the output's frames from ``start_pts`` (output ticks) on; None: from the first frame."""
        if self.is_constant:
            return self._on_grid(decoder, start_pts, size)
        batches = decoder.batches(start_pts, size)
        time_base = self.info.video.time_base
        if self.least_step_s is not None:
            least_ticks = self.least_step_s / time_base
            return without(batches, lambda kept, frame: kept is not None and frame.pts - kept.pts < least_ticks)
        if self.slot_s is not None:
            slot_ticks = self.slot_s / time_base
            return without(
                batches, lambda kept, frame: kept is not None and frame.pts // slot_ticks == kept.pts // slot_ticks
            )
        return batches

    @property
    def _step(self) -> int:
        return int(1 / (self.fps * self.info.video.time_base))

    @property
    def _ticks(self) -> Fraction:
        """Ticks of the output in one of the source."""
        return self.source.video.time_base / self.info.video.time_base

    def _on_grid(self, decoder: Decoder, start_pts: int | None, size: int) -> Iterator[FrameBatch]:
        due, last = start_pts, None
        for batch, frame in _frames(self._from(decoder, start_pts, size)):
            due = round(frame.pts * self._ticks) if due is None else due
            end = (frame.pts + frame.duration) * self._ticks - Fraction(self._step, 2)
            for pts in range(due, math.ceil(end), self._step):
                last = due = pts + self._step
                yield self._placed(batch, frame, pts)
        if start_pts is None and due is not None and last is None:  # all of it takes less than half a step
            yield self._placed(batch, frame, due)

    def _placed(self, batch: FrameBatch, frame: Frame, pts: int) -> FrameBatch:
        placed = replace(frame, pts=pts, duration=self._step)
        return replace(batch, frames=(placed,), time_base=self.info.video.time_base)

    def _from(self, decoder: Decoder, start_pts: int | None, size: int) -> Iterator[FrameBatch]:
        """Yield the source's frames from the one that is shown at ``start_pts`` on, or from an earlier one."""
        if start_pts is None:
            yield from decoder.batches(None, size)
            return
        latest = (start_pts + Fraction(self._step, 2)) / self._ticks
        for look_back_s in _LOOK_BACK_S:
            begin = None if look_back_s is None else math.floor(latest - look_back_s / self.source.video.time_base)
            batches = decoder.batches(begin, size)
            first = next(batches, None)
            if first is not None and (begin is None or first.frames[0].pts <= latest):
                yield from chain([first], batches)
                return


def output_rate(source: MediaInfo, profile: ProfileSettings) -> OutputRate:
    """Return the output rate of a source with a profile."""
    video, most = source.video, Fraction(profile.max_fps).limit_denominator(1001)
    every = max(1, math.ceil(video.fps / (most * (1 + _NEAR))))
    fps = video.fps / every
    if profile.frame_rate == "constant":
        fps = _constant_fps(video, every, most)
        steady = replace(video, fps=fps, time_base=_grid_time_base(fps), vfr=False)
        return OutputRate(source, _counted(source, steady), is_constant=True)
    if every > 1 and video.fps <= most * _LITTLE:
        return OutputRate(source, _counted(source, replace(video, fps=most, vfr=True)), slot_s=1 / most)
    if every > 1:
        thinned = _counted(source, replace(video, fps=fps))
        return OutputRate(source, thinned, least_step_s=(every - Fraction(1, 2)) / video.fps)
    return OutputRate(source, source, least_step_s=_JITTER / most if video.vfr else None)


def _counted(source: MediaInfo, video: VideoInfo) -> MediaInfo:
    """Return ``source`` with this video and an estimate of its number of frames."""
    seconds = video.duration_s or source.duration_s
    frames = round(seconds * video.fps) if seconds else None
    return replace(source, video=replace(video, frames_from_header=frames))


def _constant_fps(video: VideoInfo, every: int, most: Fraction) -> Fraction:
    """Return the source's nominal rate; of a faster source, its n-th part if that is a common one, else the highest."""
    if every == 1:
        return nominal_fps(video.fps, most, is_steady=not video.vfr)
    even = nominal_fps(video.fps / every, most, is_steady=True)
    return even if even in COMMON_FPS else max(_allowed(most), default=even)


def _allowed(most: Fraction) -> list[Fraction]:
    return [rate for rate in COMMON_FPS if rate <= most * (1 + _NEAR)]


def nominal_fps(fps: Fraction, most: Fraction, *, is_steady: bool) -> Fraction:
    """Return the common rate for a measured mean rate.

    A steady rate that is near no common rate stays. An uneven rate becomes the next higher common rate, so that on
    average no frame is dropped.
    """
    allowed = _allowed(most)
    nearest = min(allowed, key=lambda rate: abs(rate - fps), default=most)
    if abs(nearest - fps) <= fps * _NEAR:
        return nearest
    if is_steady:
        return fps.limit_denominator(1001)
    return min((rate for rate in allowed if rate > fps), default=min(fps.limit_denominator(1001), most))


def _grid_time_base(fps: Fraction) -> Fraction:
    return Fraction(1, fps.numerator * math.ceil(Fraction(_LEAST_TICKS_PER_S, fps.numerator)))


def _frames(batches: Iterable[FrameBatch]) -> Iterator[tuple[FrameBatch, Frame]]:
    return ((batch, frame) for batch in batches for frame in batch.frames)


def without(batches: Iterable[FrameBatch], leaves_out: Callable[[Frame | None, Frame], bool]) -> Iterator[FrameBatch]:
    """Drop frames; the frame before a dropped one is shown for longer, so each is held back until the next that stays.

    Args:
        leaves_out: called for each frame, in order, with the last one that stayed, and the frame; returns whether it is
            dropped. The first frame always stays.
    """
    held: Frame | None = None
    batch: FrameBatch | None = None
    for batch in batches:
        passed: list[Frame] = []
        for frame in batch.frames:
            if leaves_out(held, frame) and held is not None:
                held = replace(held, duration=frame.pts + frame.duration - held.pts)
            else:
                passed += [] if held is None else [held]
                held = frame
        if passed:
            yield replace(batch, frames=tuple(passed))
    if batch is not None and held is not None:
        yield replace(batch, frames=(held,))
