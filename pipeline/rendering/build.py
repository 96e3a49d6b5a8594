"""Puts the stages of one stream together: decoder, analysis, painter, encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import structlog

from engines.compute_class import ComputeClass
from engines.cpu.filters import surface_size
from engines.cpu.small_sdr import sdr_look
from engines.errors import DecodeFailedError
from engines.frames import ColorTags, Frame, FrameBatch, MediaInfo, VideoInfo
from engines.media_warnings import MediaWarning
from engines.protocols import Compositor, Decoder, Encoder
from engines.registry import Backend
from pipeline.camera.planner import CameraOperator
from pipeline.degradation.controller import Degradation
from pipeline.degradation.workload import MAX_SURFACE_PIXELS, Workload
from pipeline.detection.detection_schedule import DetectionSchedule
from pipeline.detection.face_detector import FaceFinder
from pipeline.detection.shot_detector import ShotDetector
from pipeline.errors import ComputeClassChangedError, JobStopped
from pipeline.identity.resolver import PeopleResolver
from pipeline.job import JobSpec, StopCheck
from pipeline.limits import within_duration
from pipeline.people import Row
from pipeline.rendering.analysis import Analysis, FaceEmbedder
from pipeline.rendering.encoder_factory import open_encoder
from pipeline.rendering.first_sight import FirstSights
from pipeline.rendering.frame_cache import StillStore
from pipeline.rendering.frame_rate import OutputRate
from pipeline.rendering.hdr import hdr_warnings, keeps_hdr
from pipeline.rendering.rebatch import aligned
from pipeline.rendering.renderer import Renderer, batch_size
from pipeline.rendering.rerender import Renewal, stored_rows
from pipeline.rendering.tile_renderer import TilePainter
from pipeline.report.thumbnails import FOLDER, ThumbnailStore, forget_moments
from pipeline.segments.checkpoint import Checkpoint
from pipeline.segments.segment import SegmentGrid
from pipeline.settings import LookaheadSettings
from pipeline.telemetry.timing import JobClock

log = structlog.get_logger(__name__)

OUTPUT_WIDTH, OUTPUT_HEIGHT = 1920, 1080
_RECENT_STILLS = 12


@dataclass(frozen=True, slots=True)
class StreamJob:
    """What the stages of one stream share."""

    spec: JobSpec
    rate: OutputRate
    backend: Backend
    checkpoint: Checkpoint
    clock: JobClock
    on_frames: Callable[[int, float], None]
    should_stop: StopCheck
    degradation: Degradation
    on_wait: Callable[[], None] = lambda: None

    @property
    def info(self) -> MediaInfo:
        """The source, as if it held the output's frames."""
        return self.rate.info

    @property
    def keeps_hdr(self) -> bool:
        return keeps_hdr(self.spec.profile, self.info.video, self.backend)

    @property
    def work(self) -> Workload:
        return self.degradation.workload


@dataclass(frozen=True, slots=True)
class StreamOutcome:
    """What the report wants to know of the stages."""

    identity: dict[str, Any]
    decoder: str
    inference: str
    compositor: str
    device: str
    color: ColorTags
    notes: tuple[str, ...]
    cpu_fallback: bool
    bytes_to_host_per_frame: int  # in this attempt
    warnings: tuple[MediaWarning, ...] = ()


def render_stream(job: StreamJob) -> StreamOutcome:
    """Render what the checkpoint lacks.

    Raises:
        DecodeFailedError: not one frame could be decoded.
        StartOverError: what the checkpoint has cannot be gone on with here.
        LevelChanged: the level of degradation has changed; the checkpoint is up to date.
        ExplainedError: whatever a stage raised.
    """
    frames_before = job.checkpoint.frames
    with (
        _counting_undecodable(job),
        closing(_open_decoder(job)) as decoder,
        closing(_finder(job)) as finder,
    ):
        _pin_compute_class(job, finder)
        compositor = job.backend.compositor(OUTPUT_WIDTH, OUTPUT_HEIGHT)
        most = job.work.batch(job.backend.batch_frames)
        size = batch_size(decoder.surface_width, decoder.surface_height, most=most)
        batches = job.rate.batches(decoder, job.checkpoint.next_pts, size)
        batches = aligned(batches, size, job.checkpoint.source_frames)
        first = None if job.checkpoint.complete else next(batches, None)
        first_pts = _first_pts(job, first)
        people, analysis = _analysis(job, finder, first_pts)
        if job.checkpoint.analysis:
            analysis.restore(job.checkpoint.analysis)
        _renew(job, compositor, decoder)
        if first is not None:
            painter = _painter(job, compositor)
            batches = within_duration(chain([first], batches), first_pts, job.spec.limits)
            _renderer(job, decoder, analysis, painter, batches).run()
            if _first_sights(job):
                _renew(job, compositor, decoder)
        return StreamOutcome(
            identity=people.summary(),
            decoder=decoder.name,
            inference=finder.engine_name,
            compositor=compositor.name,
            device=job.backend.device,
            color=decoder.color,
            notes=(*job.backend.notes, *finder.notes),
            cpu_fallback=job.checkpoint.counters["cpu_fallback"],
            bytes_to_host_per_frame=job.backend.bytes_to_host // max(1, job.checkpoint.frames - frames_before),
            warnings=hdr_warnings(job.spec.profile, job.info.video, job.backend),
        )


@contextmanager
def _counting_undecodable(job: StreamJob) -> Iterator[None]:
    """Count a recording that the GPU does not decode, whatever follows from that."""
    try:
        yield
    finally:
        if job.backend.undecodable:
            job.clock.stats_collector.undecodable(job.info.video.codec)


def _pin_compute_class(job: StreamJob, finder: FaceFinder) -> None:
    """Keep the whole job to one compute class.

    Raises:
        ComputeClassChangedError: its segments come from another one.
    """
    compute = job.backend.compute_class.with_inference(finder.engine_name, finder.embedder_name or "no face embedding")
    earlier = ComputeClass.from_json(job.checkpoint.compute_class)
    if job.checkpoint.segments and (changed := "; ".join(compute.differences(earlier))):
        raise ComputeClassChangedError(f"its segments were rendered by other hardware or software ({changed})")
    job.checkpoint.compute_class = compute.to_json()


def _finder(job: StreamJob) -> FaceFinder:
    profile = job.spec.profile
    return FaceFinder(job.backend, profile.detect, job.spec.device, job.info, job.work, keep_hdr=job.keeps_hdr)


def _first_pts(job: StreamJob, first: FrameBatch | None) -> int:
    """The pts that is 0 s: that of the first frame, not what a header claims."""
    if job.checkpoint.segments:
        return job.checkpoint.segments[0].first_pts
    if first is None:
        raise DecodeFailedError("No frame of the file could be decoded.")
    return first.frames[0].pts


def _open_decoder(job: StreamJob) -> Decoder:
    pixels = most_surface_pixels(job.spec.profile.lookahead, job.info.video, job.work.surface_pixels)
    return job.backend.decoder(job.spec.source, job.rate.source, max_surface_pixels=pixels, keep_hdr=job.keeps_hdr)


def _analysis(job: StreamJob, finder: FaceFinder, first_pts: int) -> tuple[PeopleResolver, Analysis]:
    profile, video = job.spec.profile, job.info.video
    embedder = FaceEmbedder(finder)
    width, height = surface_size(video, MAX_SURFACE_PIXELS)  # at every level, as its state must fit
    samples = width * height * (2 if job.keeps_hdr else 1)  # as many bytes as if it had so many pixels
    share = lookahead_share(profile.lookahead, samples, float(video.fps))
    people = PeopleResolver(
        profile.identity,
        assignment=profile.assignment,
        lookahead_s=profile.lookahead.identity_s * share,
        embed=embedder if finder.can_embed else None,
        width=video.width,
        height=video.height,
    )
    cameras = CameraOperator(
        profile.camera,
        missing=profile.missing,
        lookahead_s=profile.lookahead.camera_s * share,
        width=video.width,
        height=video.height,
    )
    analysis = Analysis(
        finder=finder,
        cuts=ShotDetector(),
        people=people,
        cameras=cameras,
        clock=job.clock,
        start_pts=first_pts,
        seconds_per_tick=float(video.time_base),
        canvas=(video.width, video.height),
        pace=DetectionSchedule(profile.detect, video.fps, video.width),
    )
    embedder.analysis = analysis
    return people, analysis


def lookahead_share(settings: LookaheadSettings, pixels: int, fps: float) -> float:
    """How much of the look-ahead fits into its memory: 1 for ordinary frames, less for large or fast ones."""
    wanted_bytes = (settings.identity_s + settings.camera_s) * fps * pixels * 3 / 2
    return min(1.0, settings.pool_bytes / wanted_bytes)


def most_surface_pixels(settings: LookaheadSettings, video: VideoInfo, most: int) -> int:
    """Pixels of the largest working frame: where frames grow midway, as many as the memory of the look-ahead, whose
    length is fixed by then, has room for, but no fewer than the first has."""
    width, height = surface_size(video, MAX_SURFACE_PIXELS)
    share = lookahead_share(settings, width * height, float(video.fps))
    waiting = share * (settings.identity_s + settings.camera_s) * float(video.fps)
    return min(most, max(width * height, int(settings.pool_bytes / (waiting * 3 / 2))))


def _renderer(
    job: StreamJob, decoder: Decoder, analysis: Analysis, painter: TilePainter, batches: Iterator[FrameBatch]
) -> Renderer:
    return Renderer(
        work_dir=job.spec.work_dir,
        batches=batches,
        decoder=decoder,
        analysis=analysis,
        correct=_corrector(job),
        painter=painter,
        new_encoder=lambda: _encoder(job, decoder.color),
        checkpoint=job.checkpoint,
        clock=job.clock,
        on_frames=job.on_frames,
        moments=_moments(job, analysis.start_pts),
        grid=SegmentGrid(analysis.start_pts, job.info.video.time_base, job.spec.segments.seconds),
        should_stop=job.should_stop,
        degradation=job.degradation,
        pressure_reason=job.backend.pressure_reason,
    )


def _moments(job: StreamJob, start_pts: int) -> ThumbnailStore:
    segments = job.checkpoint.segments
    done_t = (segments[-1].last_pts - start_pts) * float(job.info.video.time_base) if segments else None
    folder = job.spec.work_dir / FOLDER
    look = sdr_look(job.info.video) if job.keeps_hdr else None
    return ThumbnailStore(folder, job.info.video.duration_s or job.info.duration_s, done_t=done_t, look=look)


def _corrector(job: StreamJob) -> Callable[[Row], Row]:
    video = job.info.video
    sights = _first_sights(job)
    return lambda row: job.spec.corrections.apply(sights.apply(row), video.width, video.height)


def _first_sights(job: StreamJob) -> FirstSights:
    """When people are seen for the first time; that is known once all segments are there."""
    return FirstSights.of(stored_rows(job.spec.work_dir, job.checkpoint) if job.checkpoint.complete else ())


def _renew(job: StreamJob, compositor: Compositor, decoder: Decoder) -> None:
    renewed = Renewal(
        work_dir=job.spec.work_dir,
        checkpoint=job.checkpoint,
        correct=_corrector(job),
        open_decoder=lambda: _open_decoder(job),
        batches=job.rate.batches,
        new_painter=lambda: _painter(job, compositor),
        new_encoder=lambda: _encoder(job, decoder.color),
        on_frames=job.on_frames,
        should_stop=job.should_stop,
        stats_collector=job.clock.stats_collector,
    ).run()
    if renewed:
        forget_moments(job.spec.work_dir / FOLDER)
        log.info("segments corrected", renewed=renewed, kept=len(job.checkpoint.segments) - renewed)


def _painter(job: StreamJob, compositor: Compositor) -> TilePainter:
    video = job.info.video
    return TilePainter(
        compositor,
        StillStore(lambda pts: _fetch(job, pts), recent=_RECENT_STILLS),
        display=(video.width, video.height),
    )


def _fetch(job: StreamJob, pts: int) -> Frame:
    """Decode one frame again."""
    with closing(_open_decoder(job)) as decoder:
        batch = next(job.rate.batches(decoder, pts, 1), None)
    if batch is None or batch.frames[0].pts != pts:
        raise DecodeFailedError(f"The frame at pts {pts} could not be decoded a second time.")
    return batch.frames[0]


def _encoder(job: StreamJob, color: ColorTags) -> Encoder:
    size = OUTPUT_WIDTH, OUTPUT_HEIGHT
    return open_encoder(
        job.backend, job.spec, job.checkpoint, job.info.video, color, size, on_wait=lambda: _wait_for_encoder(job)
    )


def _wait_for_encoder(job: StreamJob) -> None:
    job.on_wait()
    if job.should_stop():
        raise JobStopped("the job was asked to stop while it waited, and will go on from its last segment")
