"""Builds the stages of one stream from settings and checkpoint, and runs them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import chain

import structlog

from engines.compute_class import ComputeClass
from engines.errors import DecodeFailedError
from engines.frames import FrameBatch
from engines.protocols import Compositor, Decoder
from pipeline.detection.face_detector import FaceFinder
from pipeline.detection.look_ahead import LookAhead
from pipeline.detection.observer import THUMBNAIL_SIZE
from pipeline.errors import ComputeClassChangedError
from pipeline.identity.resolver import PeopleResolver
from pipeline.limits import within_duration
from pipeline.rendering.analyse_stage import AnalyseStage
from pipeline.rendering.analysis import Analysis
from pipeline.rendering.build_analysis import build_analysis, compute_class_of, open_face_finder
from pipeline.rendering.build_output import batch_size, done_t, thumbnail_store, tile_renderer
from pipeline.rendering.compose_stage import ComposeStage
from pipeline.rendering.encode_stage import EncodeStage
from pipeline.rendering.encoder_factory import open_encoder
from pipeline.rendering.first_sight import FirstSights
from pipeline.rendering.hdr import hdr_warnings
from pipeline.rendering.rebatch import aligned
from pipeline.rendering.renderer import render
from pipeline.rendering.rerender import Rerender, first_sights
from pipeline.rendering.stream import OUTPUT_HEIGHT, OUTPUT_WIDTH, StreamJob, StreamOutcome
from pipeline.rendering.thumbnails import clear_thumbnails
from pipeline.splitting.conductor import Conductor
from pipeline.splitting.orders import Crew

log = structlog.get_logger(__name__)


def render_stream(job: StreamJob, crew: Crew | None = None) -> StreamOutcome:
    """Render all frames that the checkpoint lacks.

    Args:
        crew: does most of the work, in parts. None: all is done here.

    Raises:
        SplitAbandonedError: the rest must be rendered without a crew; the checkpoint is up to date.
        DecodeFailedError: no frame could be decoded.
        StartOverError: the finished segments cannot be continued here.
        LevelChanged: the level of degradation has changed; the checkpoint is up to date.
        ExplainedError: what a stage raised.
    """
    frames_before = job.checkpoint.frames
    with (
        _counting_undecodable(job),
        closing(job.open_decoder()) as decoder,
        closing(open_face_finder(job)) as finder,
    ):
        _pin_compute_class(job, finder)
        compositor = job.backend.compositor(OUTPUT_WIDTH, OUTPUT_HEIGHT)
        decoded = job.rate.batches(decoder, job.checkpoint.next_pts, batch_size(job, decoder))
        first = None if job.checkpoint.complete else next(decoded, None)
        start_pts = _start_pts(job, first)
        sights = first_sights(job)
        _rerender(job, compositor, decoder, sights)
        if first is not None and crew is not None:
            people = _conduct(job, crew, finder, batch_size(job, decoder), start_pts, first.frames[0].pts)
        else:
            ahead = LookAhead(finder, THUMBNAIL_SIZE, job.telemetry) if job.backend.looks_ahead else None
            people, analysis = build_analysis(job, ahead or finder, start_pts)
            if first is not None:
                _render(job, decoder, compositor, analysis, ahead, start_pts, chain([first], decoded))
        if first is not None and (sights := first_sights(job)):
            _rerender(job, compositor, decoder, sights)
        return StreamOutcome(
            identity=people.summary(),
            decoder=decoder.name,
            inference=finder.engine_name,
            compositor=compositor.name,
            device=job.backend.device,
            color=decoder.color,
            notes=(*job.backend.notes, *finder.notes),
            cpu_fallback=job.checkpoint.counters.cpu_fallback,
            bytes_to_host_per_frame=job.backend.bytes_to_host // max(1, job.checkpoint.frames - frames_before),
            warnings=hdr_warnings(job.spec.profile, job.info.video, job.backend),
            layout="single" if sights.is_single else "split",
        )


@contextmanager
def _counting_undecodable(job: StreamJob) -> Iterator[None]:
    """Count a recording that the GPU does not decode, also if an error follows."""
    try:
        yield
    finally:
        if job.backend.undecodable:
            job.telemetry.stats_collector.count_undecodable(job.info.video.codec)


def _pin_compute_class(job: StreamJob, finder: FaceFinder) -> None:
    """Keep the whole job to one compute class.

    Raises:
        ComputeClassChangedError: the finished segments come from another one.
    """
    compute = compute_class_of(job, finder)
    earlier = ComputeClass.from_json(job.checkpoint.compute_class)
    if job.checkpoint.segments and (changed := "; ".join(compute.differences(earlier))):
        raise ComputeClassChangedError(f"its segments were rendered by other hardware or software ({changed})")
    job.checkpoint.set_compute_class(compute.to_json())


def _start_pts(job: StreamJob, first: FrameBatch | None) -> int:
    """Return the pts that is 0 s: that of the first frame, whatever a header says."""
    if job.checkpoint.segments:
        return job.checkpoint.segments[0].first_pts
    if first is None:
        raise DecodeFailedError("No frame of the file could be decoded.")
    return first.frames[0].pts


def _rerender(job: StreamJob, compositor: Compositor, decoder: Decoder, sights: FirstSights) -> None:
    """Render finished segments again that corrections, or what only the whole video shows, have changed."""
    rerendered = Rerender(
        job,
        sights,
        new_tile_renderer=lambda: tile_renderer(job, compositor),
        new_encoder=lambda: open_encoder(job, decoder.color),
    ).run()
    if rerendered:
        clear_thumbnails(job.spec.paths.thumbnails)
        log.info("segments corrected", renewed=rerendered, kept=len(job.checkpoint.segments) - rerendered)


def _conduct(
    job: StreamJob, crew: Crew, finder: FaceFinder, batch_frames: int, start_pts: int, next_pts: int
) -> PeopleResolver:
    conductor = Conductor(job, crew, finder, batch_frames=batch_frames, start_pts=start_pts, next_pts=next_pts)
    return conductor.run()


def _render(
    job: StreamJob,
    decoder: Decoder,
    compositor: Compositor,
    analysis: Analysis,
    ahead: LookAhead | None,
    start_pts: int,
    decoded: Iterator[FrameBatch],
) -> None:
    grid = job.segment_grid(start_pts)
    batches = aligned(decoded, batch_size(job, decoder), grid)
    encode = EncodeStage(
        job,
        decoder,
        new_encoder=lambda: open_encoder(job, decoder.color),
        thumbnails=thumbnail_store(job, job.spec.paths.thumbnails, done_t(job, start_pts)),
    )
    analyse = AnalyseStage(job, analysis, grid)
    render(
        job,
        within_duration(batches, start_pts, job.spec.limits),
        analyse,
        ComposeStage(job, tile_renderer(job, compositor)),
        encode,
        look=None if ahead is None else lambda taken: ahead.run(taken, analysis.may_be_due),
    )
