"""The order for a worker, made from the settings and a job's manifest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath

from daemon.config.settings import Settings
from daemon.errors import ProfileGoneError
from daemon.jobs import attempts, fault_policy, sidecar
from daemon.jobs.job import Job
from daemon.pages.i18n import Language, languages
from daemon.share.leases import Lease
from daemon.worker.protocol import GPU, RunJob
from pipeline.corrections import NO_CORRECTIONS, Corrections
from pipeline.job import JobSpec
from pipeline.settings import ProfileSettings


def work_order(settings: Settings, job: Job, lease: Lease, gpu: GPU | None = None) -> RunJob:
    """Return the order for a job's next attempt; one that failed so often that it runs alone has one worker, too.

    Args:
        gpu: runs the attempt; None leaves the device to the settings.

    Raises:
        ProfileGoneError: its profile is no longer configured.
        CorrectionsError: its sidecar cannot be used.
        OSError: its sidecar cannot be read.
    """
    corrections = _corrections(settings, job)
    spec = job_spec(settings, job, lease.host, corrections)
    if spec.profile_name not in settings.profiles:
        raise ProfileGoneError(f"The profile '{spec.profile_name}' is no longer configured.")
    spec = replace(spec, attempt=job.manifest.attempts + 1)
    if gpu is not None:
        spec = replace(spec, device=settings.device.on_gpu(gpu.index), nvenc=gpu.nvenc)
    pages = report_languages(settings)
    workers = settings.workers
    split = "never" if fault_policy.runs_alone(attempts.counts(job.manifest)) else settings.cluster.split
    return RunJob(spec, workers.nice, settings.log.level, workers.limits, lease, pages, split)


def _corrections(settings: Settings, job: Job) -> Corrections:
    if job.manifest.sidecar_fault:
        raise sidecar.no_text(job.manifest.sidecar_fault)
    if not job.manifest.sidecar:
        return NO_CORRECTIONS
    return sidecar.read(job.sidecar, settings, PurePath(job.manifest.sidecar_name).name)


def report_languages(settings: Settings) -> tuple[Language, ...]:
    """Return the languages of a job's HTML report; none if the settings turn it off."""
    return languages(settings.status.language) if settings.reports.html else ()


def job_spec(settings: Settings, job: Job, host: str, corrections: Corrections = NO_CORRECTIONS) -> JobSpec:
    """Return the pipeline's description of a job; for a report, the profile may be no longer configured."""
    profile = corrections.profile or job.manifest.profile
    return JobSpec(
        job_id=job.id,
        source=job.source,
        input_name=job.input_name,
        work_dir=job.folder,
        profile=settings.profiles.get(profile, ProfileSettings()),
        profile_name=profile,
        device=settings.device,
        limits=settings.limits,
        segments=settings.segments,
        degradation=settings.degradation,
        attempt=max(1, job.manifest.attempts),
        host=host,
        corrections=corrections,
        parts=tuple(job.parts),
        part_names=tuple(job.part_names),
        chunk_s=settings.cluster.chunk_s,
    )
