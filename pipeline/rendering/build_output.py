"""Builds what draws the output of one stream."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from engines.errors import DecodeFailedError
from engines.frames import Frame
from engines.protocols import Compositor, Decoder
from engines.video.sdr_preview import sdr_preview
from pipeline.rendering.frame_cache import FrameCache
from pipeline.rendering.stream import StreamJob
from pipeline.rendering.thumbnails import ThumbnailStore
from pipeline.rendering.tile_renderer import TileRenderer

_RECENT_FRAMES = 12
_BATCH_FRAME_BYTES = 6_250_000  # batches of larger frames hold fewer of them


def batch_size(job: StreamJob, decoder: Decoder) -> int:
    """Return the frames per batch of a job."""
    most = job.workload.batch(job.backend.batch_frames)
    return frames_per_batch(decoder.surface_width, decoder.surface_height, most=most)


def frames_per_batch(width: int, height: int, *, most: int) -> int:
    """Return the frames per batch: fewer of large frames, so that memory stays bounded."""
    return max(1, min(most, most * _BATCH_FRAME_BYTES // (width * height * 3 // 2)))


def done_t(job: StreamJob, start_pts: int) -> float | None:
    """Return the time of the last frame that is in a segment, in seconds; None if there is none."""
    segments, time_base = job.checkpoint.segments, job.info.video.time_base
    return (segments[-1].last_pts - start_pts) * float(time_base) if segments else None


def thumbnail_store(job: StreamJob, folder: Path, done_t: float | None) -> ThumbnailStore:
    """Return the store of thumbnails for the contact sheet, of frames after ``done_t``."""
    video = job.info.video
    return ThumbnailStore(
        folder,
        video.duration_s or job.info.duration_s,
        done_t=done_t,
        preview=sdr_preview(video) if job.keeps_hdr else None,
    )


def tile_renderer(job: StreamJob, compositor: Compositor) -> TileRenderer:
    """Return a renderer that decodes frozen frames again that it has not kept."""
    video = job.info.video
    cache = FrameCache(lambda pts: _decode_again(job, pts), recent=_RECENT_FRAMES)
    return TileRenderer(compositor, cache, display=(video.width, video.height))


def _decode_again(job: StreamJob, pts: int) -> Frame:
    with closing(job.open_decoder()) as decoder:
        batch = next(job.rate.batches(decoder, pts, 1), None)
    if batch is None or batch.frames[0].pts != pts:
        raise DecodeFailedError(f"The frame at pts {pts} could not be decoded a second time.")
    return batch.frames[0]
