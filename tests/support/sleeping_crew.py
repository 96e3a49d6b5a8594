"""One recording on workers that only sleep, under the conductor that gives parts and takes answers in service."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

from engines.frames import ColorTags, MediaInfo, VideoInfo
from pipeline.splitting.conductor import Conductor
from pipeline.splitting.orders import (
    Answer,
    DetectPart,
    EncoderPin,
    Order,
    PartProgress,
    RenderPart,
    SegmentsRendered,
    TableWritten,
)
from pipeline.splitting.part import Part, plan_parts
from pipeline.splitting.part_board import Grant, PartBoard
from pipeline.splitting.split_progress import SplitProgress
from tests.support.simulated_clock import SimulatedClock

_TELL_EVERY_S = 0.25
_BATCH_FRAMES = 16
_SEGMENT_S = 10.0
FPS = 30


@dataclass(frozen=True, slots=True)
class Costs:
    """What a 1080p frame takes.

    Attributes:
        detect_fps: frames per second that one process decodes and detects on an H200.
        x264_ms: least and most CPU milliseconds of x264 veryfast; a part has a random value between.
        cores: of a worker, for x264.
        decide_ms: of the conductor's Python.
    """

    detect_fps: float = 345.0
    x264_ms: tuple[float, float] = (12.0, 16.0)
    cores: int = 4
    decide_ms: float = 0.9

    def render_fps(self, chance: random.Random) -> float:
        """Return the frames per second that a worker encodes in some part."""
        return self.cores * 1000 / chance.uniform(*self.x264_ms)

    @property
    def worker_fps(self) -> float:
        """Frames per second of a worker that has always work of both stages."""
        return min(self.detect_fps, self.cores * 1000 / (sum(self.x264_ms) / 2))


class SleepingCrew:
    """Workers whose parts take as long as measured ones; each does one order of each stage at a time.

    Attributes:
        worked_s: what all workers needed for each stage.
    """

    def __init__(self, clock: SimulatedClock, workers: int, costs: Costs) -> None:
        self._clock, self._costs = clock, costs
        self._names = [f"worker {number}" for number in range(workers)]
        self._chance = random.Random(0)
        self.worked_s = {DetectPart: 0.0, RenderPart: 0.0}

    def workers(self) -> Sequence[str]:
        return self._names

    def give(self, worker: str, order: Order) -> None:
        frames = frames_of(order.part)
        detects = isinstance(order, DetectPart)
        needed_s = frames / (self._costs.detect_fps if detects else self._costs.render_fps(self._chance))
        self.worked_s[type(order)] += needed_s
        self._tell(worker, order, frames, needed_s)
        done: Answer = TableWritten(order.folder, "", {}) if detects else SegmentsRendered(order.folder, (), "", "", {})
        self._clock.add(needed_s, (worker, done))

    def _tell(self, worker: str, order: Order, frames: int, needed_s: float) -> None:
        for number in range(1, times := int(needed_s / _TELL_EVERY_S) + 1):
            progress = PartProgress(order.folder, frames / FPS / times, frames // times)
            self._clock.add(number * _TELL_EVERY_S, (worker, progress))

    def answer(self, timeout_s: float) -> tuple[str, Answer] | None:
        return self._clock.next_event(timeout_s)

    def dismiss(self) -> None: ...


class SimulatedConductor(Conductor):
    """The conductor, without what needs media: its decisions take as long as was measured, and parts have no files."""

    def __init__(self, clock: SimulatedClock, crew: SleepingCrew, costs: Costs, duration_s: float) -> None:
        info = recording(duration_s)
        workers = len(crew.workers())
        self._clock, self._costs = clock, costs
        self._job: Any = SimpleNamespace(
            interruption=SimpleNamespace(check=lambda _: None), on_frames=lambda *_: None, telemetry=None
        )
        self._crew = crew
        self._parts = plan_parts(info, 0, 0, segment_s=_SEGMENT_S, chunk_s=60.0, workers=workers)
        self._board = PartBoard(self._parts, workers)
        self._progress = SplitProgress(0, 0.0)
        self._tables: dict[int, Any] = {}
        self._staffed_at = 0.0

    @property
    def parts(self) -> int:
        return len(self._parts)

    def work(self) -> float:
        """Work on the recording; return the seconds that it takes."""
        for part, batch in zip(self._parts, self._tables_in_order(), strict=True):
            self._decide_part(part, batch)
        while not self._board.done:
            self._attend(0.2)
        return self._clock.now()

    def _decide_part(self, part: Part, batches: Iterator[int]) -> None:
        for frames in batches:
            self._clock.sleep(frames * self._costs.decide_ms / 1000)
            self._attend(0.0)
        self._board.may_render(part.index)

    def _order(self, grant: Grant) -> Order:
        if grant.stage == "detect":
            return DetectPart(grant.part, grant.folder, 0, {}, len(self._crew.workers()))
        return RenderPart(grant.part, grant.folder, 0, {}, 0, None, EncoderPin())

    def _take_table(self, grant: Grant, answer: TableWritten) -> None:
        self._board.finish(grant.folder)
        frames = frames_of(grant.part)
        self._tables[grant.part.index] = (min(_BATCH_FRAMES, frames - n) for n in range(0, frames, _BATCH_FRAMES))

    def _take_segments(self, grant: Grant, answer: SegmentsRendered) -> None:
        self._board.finish(grant.folder)


def recording(duration_s: float) -> MediaInfo:
    """Return what is known of a recording in 1080p with 30 frames a second."""
    video = VideoInfo(
        "h264", 1920, 1080, 1920, 1080, "yuv420p", 8, Fraction(FPS), False, None, 0, Fraction(1), False,
        Fraction(1, 90_000), 0, duration_s, ColorTags(),
    )  # fmt: skip
    return MediaInfo("mov,mp4,m4a,3gp,3g2,mj2", 1, duration_s, video, ())


def frames_of(part: Part) -> int:
    """Return the number of frames of a part."""
    return round((part.end_segment - part.first_segment) * _SEGMENT_S * FPS)
