"""Carries out the orders of one conductor: detects in parts, and renders their segments."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain, groupby
from pathlib import Path
from typing import TypeAlias

import orjson
import structlog

from engines.compute_class import ComputeClass
from engines.errors import ExplainedError
from engines.frames import Frame, FrameBatch
from engines.protocols import Decoder
from pipeline.durable import storage_errors
from pipeline.errors import PipelineError
from pipeline.identity.recognition import is_clear
from pipeline.people import Face, Row, row_from_json
from pipeline.rendering.build_analysis import build_observer, compute_class_of, open_face_finder
from pipeline.rendering.build_output import batch_size, thumbnail_store, tile_renderer
from pipeline.rendering.encoder_factory import open_encoder
from pipeline.rendering.lookahead import surface_bytes
from pipeline.rendering.rebatch import aligned
from pipeline.rendering.stage import Stage
from pipeline.rendering.stream import OUTPUT_HEIGHT, OUTPUT_WIDTH, StreamJob
from pipeline.rendering.tile_renderer import TileRenderer
from pipeline.segments.segment import SegmentRecord, SegmentWriter
from pipeline.splitting.kept_frames import KeptFrames
from pipeline.splitting.orders import (
    ROWS,
    SEGMENTS,
    TABLE,
    Answer,
    Counts,
    DetectPart,
    Order,
    PartFailed,
    PartProgress,
    RenderPart,
    SegmentsRendered,
    TableWritten,
)
from pipeline.splitting.part import Part
from pipeline.splitting.recorder import RecordingFinder
from pipeline.splitting.table import DetectionTable, recorded
from pipeline.workdir import THUMBNAILS

Tell: TypeAlias = Callable[[PartProgress], None]
log = structlog.get_logger(__name__)

_TELL_EVERY_S = 0.25
_DRAWN_BATCHES = 8  # that wait for the encoder
_Drawn: TypeAlias = tuple[Row, Row, Frame]  # as decided, as shown, and the frame that shows it


class FramesDifferError(PipelineError):
    """A part does not hold the frames that were decided."""

    code = "PART_DIFFERS"
    remedy = "Nothing to do: the recording is worked on without parts."
    retryable = True


class PartWorker:
    """Works on parts of one recording with its own backend, models and decoder.

    Args:
        job: of the whole recording, with a checkpoint of its own that is never saved.
        tell: called several times a second with what has been done since.
    """

    def __init__(self, job: StreamJob, tell: Tell) -> None:
        self._job = job
        self._tell = tell
        self._finder = open_face_finder(job)
        self._kept = KeptFrames(job.backend.free_bytes)
        with closing(job.open_decoder()) as decoder:
            self._color = decoder.color
        self._compositor = job.backend.compositor(OUTPUT_WIDTH, OUTPUT_HEIGHT)

    def close(self) -> None:
        """Give the models' memory back."""
        self._finder.close()

    def carry_out(self, order: Order) -> Answer:
        """Carry out an order; return the answer, which may say that it failed."""
        try:
            if changed := "; ".join(
                compute_class_of(self._job, self._finder).differences(ComputeClass.from_json(order.compute_class))
            ):
                return PartFailed(order.folder, f"a worker has other hardware or software ({changed})")
            progress = _Progress(order, float(self._job.info.video.time_base), self._tell)
            with storage_errors("working on a part"):
                if isinstance(order, DetectPart):
                    answer = self._detect(order, progress)
                else:
                    answer = self._render(order, progress)
            progress.tell()
        except ExplainedError as error:
            return PartFailed(order.folder, error.message)
        except Exception as error:
            log.exception("a part worker failed")
            return PartFailed(order.folder, f"the program failed: {type(error).__name__}: {error}")
        return answer

    def _folder(self, order: Order) -> Path:
        return self._job.spec.paths.parts / order.folder

    # detection

    def _detect(self, order: DetectPart, progress: _Progress) -> Answer:
        table, counts = DetectionTable(), Counts()
        finder = RecordingFinder(self._finder, table, self._may_be_embedded)
        midway = order.part.from_pts > order.start_pts
        observer = build_observer(self._job, finder, order.start_pts, begins_midway=midway)
        flaw, keeps = "", self._may_keep(order)
        with closing(self._job.open_decoder()) as decoder:
            for batch in self._batches(decoder, order, counts):
                begin = time.perf_counter()
                table.frames += [recorded(frame) for frame in batch.frames]
                observer.observe(batch.frames)
                if keeps:
                    self._kept.keep(order.part, batch)
                counts.add("detect", time.perf_counter() - begin, len(batch))
                progress.add(batch.frames)
                if any(frame.replaced for frame in batch.frames):
                    flaw = "frames of it cannot be decoded"
                    break
            if decoder.truncated and order.part.to_pts is None:
                flaw = flaw or "its end is missing"
            elif decoder.cpu_fallback:
                flaw = flaw or "the GPU does not decode all of it"
        with storage_errors("writing a detection table"):
            sha256 = table.write(self._folder(order) / TABLE)
        return TableWritten(order.folder, sha256, counts.times, flaw)

    def _may_keep(self, order: DetectPart) -> bool:
        """Return whether to keep the frames. Where some are dropped, the last duration may depend on the next part."""
        self._kept.drop(order.part)
        if self._job.rate.least_step_s is not None:
            return False
        video, part = self._job.info.video, order.part
        seconds = (part.end_segment - part.first_segment) * self._job.spec.segments.seconds
        return self._kept.may_keep(seconds * float(video.fps) * surface_bytes(video), order.workers)

    def _may_be_embedded(self, face: Face) -> bool:
        video, settings = self._job.info.video, self._job.spec.profile.identity
        return is_clear(face, settings, video.width, video.height)

    def _batches(self, decoder: Decoder, order: DetectPart, counts: Counts) -> Iterator[FrameBatch]:
        """Yield the part's frames, decoded in a thread, in the batches of the whole recording."""
        size, part = batch_size(self._job, decoder), order.part
        grid = self._job.segment_grid(order.start_pts)
        decoded = aligned(_until(decoder.batches(part.from_pts, size), part), size, grid)
        with closing(Stage("decode", _timed(decoded, counts), self._job.workload.depth)) as batches:
            yield from batches

    # rendering

    def _render(self, order: RenderPart, progress: _Progress) -> Answer:
        self._pin(order)
        counts = Counts()
        with storage_errors("reading rows"):
            lines = (self._folder(order) / ROWS).read_bytes().splitlines()
        rows = [row_from_json(orjson.loads(line)) for line in lines]
        grid = self._job.segment_grid(order.start_pts)
        records: list[SegmentRecord] = []
        names: set[tuple[str, str]] = set()
        first_frame = order.first_frame
        thumbnails = thumbnail_store(self._job, self._folder(order) / THUMBNAILS, order.before_t)
        with closing(Stage("compose", self._drawn(order, rows, counts), _DRAWN_BATCHES)) as drawn:
            for segment, of_segment in groupby(chain.from_iterable(drawn), key=lambda each: grid.index(each[0].pts)):
                encoder = open_encoder(self._job, self._color)
                names.add((encoder.name, encoder.extradata.hex()))
                with SegmentWriter(self._folder(order) / SEGMENTS, segment, first_frame) as writer:
                    for row, shown, frame in of_segment:
                        begin = time.perf_counter()
                        writer.add_row(row, shown, frame.duration)
                        writer.add_packets(encoder.encode(frame))
                        counts.add("encode", time.perf_counter() - begin, 1)
                        thumbnails.offer(frame, shown)
                        progress.add([frame])
                    writer.add_packets(encoder.flush())
                    records.append(writer.finish())
                first_frame += records[-1].frames
        if len(names) != 1:
            return PartFailed(order.folder, "its segments were encoded in different ways")
        ((name, extradata),) = names
        return SegmentsRendered(order.folder, tuple(records), name, extradata, counts.times)

    def _pin(self, order: RenderPart) -> None:
        checkpoint, pin = self._job.checkpoint, order.pin
        checkpoint.encoder, checkpoint.extradata = pin.encoder, pin.extradata
        checkpoint.pin_encoder_threads(pin.threads)

    def _drawn(self, order: RenderPart, rows: list[Row], counts: Counts) -> Iterator[list[_Drawn]]:
        renderer, remaining = tile_renderer(self._job, self._compositor), iter(rows)
        with closing(self._read(order, rows, counts)) as batches:
            for batch in batches:
                begin = time.perf_counter()
                pairs = [(frame, next(remaining, None)) for frame in batch.frames]
                drawn = self._composed(renderer, pairs)
                counts.add("compose", time.perf_counter() - begin, len(pairs))
                yield drawn
        if next(remaining, None) is not None:
            raise FramesDifferError("The part holds fewer frames than were decided.")

    def _read(self, order: RenderPart, rows: list[Row], counts: Counts) -> Generator[FrameBatch, None, None]:
        """Yield the frames of the rows: those that are kept, or decoded ones."""
        if (kept := self._kept.take(order.part)) is not None:
            yield from kept
            return
        with closing(self._job.open_decoder()) as decoder:
            decoded = self._job.rate.batches(decoder, rows[0].pts, batch_size(self._job, decoder))
            needed = _up_to(_timed(decoded, counts), rows[-1].pts)
            with closing(Stage("decode", needed, self._job.workload.depth)) as read:
                yield from read

    def _composed(self, renderer: TileRenderer, pairs: list[tuple[Frame, Row | None]]) -> list[_Drawn]:
        rows = [row for frame, row in pairs if row is not None and row.pts == frame.pts]
        if len(rows) != len(pairs):
            raise FramesDifferError("The part holds other frames than were decided.")
        shown = [self._job.shown(row) for row in rows]
        images = renderer.render_all([frame for frame, _ in pairs], shown)
        return list(zip(rows, shown, images, strict=True))


class _Progress:
    """Counts the frames of an order that are done, and tells the conductor from time to time."""

    def __init__(self, order: Order, seconds_per_tick: float, tell: Tell) -> None:
        self._folder = order.folder
        self._seconds_per_tick = seconds_per_tick
        self._tell = tell
        self._ticks = self._frames = 0
        self._told_at = time.monotonic()

    def add(self, frames: Sequence[Frame]) -> None:
        self._ticks += sum(frame.duration for frame in frames)
        self._frames += len(frames)
        if time.monotonic() - self._told_at >= _TELL_EVERY_S:
            self.tell()

    def tell(self) -> None:
        """Tell the conductor what it does not know yet."""
        self._tell(PartProgress(self._folder, self._ticks * self._seconds_per_tick, self._frames))
        self._ticks, self._frames, self._told_at = 0, 0, time.monotonic()


def _timed(batches: Iterator[FrameBatch], counts: Counts) -> Iterator[FrameBatch]:
    while True:
        begin = time.perf_counter()
        batch = next(batches, None)
        if batch is None:
            return
        counts.add("decode", time.perf_counter() - begin, len(batch))
        yield batch


def _until(batches: Iterator[FrameBatch], part: Part) -> Iterator[FrameBatch]:
    """Yield the frames before the next part."""
    return batches if part.to_pts is None else _up_to(batches, part.to_pts - 1)


def _up_to(batches: Iterator[FrameBatch], last_pts: int) -> Iterator[FrameBatch]:
    for batch in batches:
        inside = tuple(frame for frame in batch.frames if frame.pts <= last_pts)
        if inside:
            yield replace(batch, frames=inside)
        if len(inside) < len(batch) or inside[-1].pts == last_pts:
            return
