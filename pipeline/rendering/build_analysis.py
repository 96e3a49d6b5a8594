"""Builds the analysis of one stream from settings and checkpoint."""

from __future__ import annotations

from engines.compute_class import ComputeClass
from engines.frames import Frame
from engines.video.geometry import surface_size
from pipeline.camera.planner import CameraOperator
from pipeline.degradation.workload import MAX_SURFACE_PIXELS
from pipeline.detection.detection_schedule import DetectionSchedule
from pipeline.detection.face_detector import FaceFinder
from pipeline.detection.finder import BatchFinder, Finder
from pipeline.detection.head_views import HeadViews
from pipeline.detection.observer import Observer
from pipeline.identity.resolver import PeopleResolver
from pipeline.rendering.analysis import Analysis, FaceEmbedder
from pipeline.rendering.lookahead import lookahead_share
from pipeline.rendering.stream import StreamJob


def open_face_finder(job: StreamJob) -> FaceFinder:
    """Open the models of a job."""
    profile = job.spec.profile
    return FaceFinder(job.backend, profile.detect, job.spec.device, job.info, job.workload, keep_hdr=job.keeps_hdr)


def compute_class_of(job: StreamJob, finder: FaceFinder) -> ComputeClass:
    """Return the compute class of a job's work with these models."""
    return job.backend.compute_class.with_inference(finder.engine_name, finder.embedder_name or "no face embedding")


def build_observer(job: StreamJob, finder: BatchFinder, start_pts: int, *, begins_midway: bool = False) -> Observer:
    """Return an observer that has seen no frame yet; ``start_pts`` is 0 s."""
    video = job.info.video
    return Observer(
        finder,
        DetectionSchedule(job.spec.profile.detect, video.fps, video.width),
        start_pts=start_pts,
        seconds_per_tick=float(video.time_base),
        canvas=(video.width, video.height),
        begins_midway=begins_midway,
    )


def build_analysis(job: StreamJob, finder: Finder, start_pts: int) -> tuple[PeopleResolver, Analysis]:
    """Return the analysis in the state of the checkpoint, and the part of it that knows who the people are."""
    profile, video = job.spec.profile, job.info.video
    width, height = surface_size(video, MAX_SURFACE_PIXELS)  # at every level, as the state must fit
    pixels = width * height * (2 if job.keeps_hdr else 1)  # P010 has two bytes per sample
    share = lookahead_share(profile.lookahead, pixels, float(video.fps))
    pending_frames: dict[int, Frame] = {}
    people = PeopleResolver(
        profile.identity,
        assignment=profile.assignment,
        lookahead_s=profile.lookahead.identity_s * share,
        embed=FaceEmbedder(finder, pending_frames) if finder.can_embed else None,
        eyes=HeadViews(finder, pending_frames),
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
        observer=build_observer(job, finder, start_pts),
        people=people,
        cameras=cameras,
        telemetry=job.telemetry,
        canvas=(video.width, video.height),
        pending_frames=pending_frames,
    )
    if job.checkpoint.analysis:
        analysis.restore(job.checkpoint.analysis)
    return people, analysis
