"""Finds the checkpoint from which a job goes on, or makes an empty one."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import structlog

from engines.frames import MediaInfo
from pipeline.fingerprint import FileDigest, fingerprint
from pipeline.job import JobSpec
from pipeline.rendering.thumbnails import clear_thumbnails
from pipeline.segments import checkpoint as checkpoints
from pipeline.segments.checkpoint import Checkpoint
from pipeline.telemetry.timing import JobTelemetry

log = structlog.get_logger(__name__)


def find_checkpoint(
    spec: JobSpec, info: MediaInfo, digest: FileDigest, telemetry: JobTelemetry, on_wait: Callable[[], None]
) -> Checkpoint:
    """Return the checkpoint of an earlier attempt or of an earlier job on the same source, else an empty one.

    Args:
        digest: of the source; only a checkpoint of another job waits for it.
        telemetry: continues the timers of an earlier attempt.
        on_wait: called about once a second while the source is read.
    """
    mark = fingerprint(spec)
    checkpoint, reason = checkpoints.load(spec.work_dir, mark)
    if checkpoint is None:
        fresh = Checkpoint(mark, spec.job_id)
        return fresh if reason is None else start_over(spec, fresh, telemetry, reason)
    if checkpoint.job == spec.job_id:
        if checkpoint.segments:  # else it holds only the level, after an error in the first segment
            _resume(info, checkpoint, telemetry)
    elif _is_of_same_source(checkpoint, digest, on_wait):
        checkpoint.hand_over(spec.job_id)
        log.info("job builds on an earlier one's segments", segments=checkpoint.reused_segments)
    else:
        fresh = Checkpoint(mark, spec.job_id)
        return start_over(spec, fresh, telemetry, "the earlier job's source looked the same, but was not")
    return checkpoint


def start_over(spec: JobSpec, checkpoint: Checkpoint, telemetry: JobTelemetry, reason: str) -> Checkpoint:
    """Remove what earlier attempts have rendered, and return an empty checkpoint that records the reason."""
    log.info("job starts over", reason=reason)
    shutil.rmtree(spec.paths.segments, ignore_errors=True)
    clear_thumbnails(spec.paths.thumbnails)
    telemetry.reset()
    return checkpoint.restarted(spec.job_id, reason)


def _is_of_same_source(checkpoint: Checkpoint, digest: FileDigest, on_wait: Callable[[], None]) -> bool:
    """Compare the whole source with that of another job; the fingerprint compares samples only."""
    return bool(checkpoint.source_sha256) and digest.result(on_wait=on_wait) == checkpoint.source_sha256


def _resume(info: MediaInfo, checkpoint: Checkpoint, telemetry: JobTelemetry) -> None:
    telemetry.restore(checkpoint.timing)
    last_pts = checkpoint.next_pts if checkpoint.next_pts is not None else checkpoint.segments[-1].last_pts
    at_s = round(float((last_pts - checkpoint.segments[0].first_pts) * info.video.time_base), 3)
    checkpoint.add_resume(at_s)
    log.info("job resumes", at_s=at_s, frames_done=checkpoint.frames)
