"""Reports: what was done to a file, or why it could not be done."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from engines.errors import ExplainedError
from engines.frames import MediaInfo
from engines.models.catalogue import DLIB_FACE_RESNET, YUNET
from pipeline.assemble import Assembled
from pipeline.checkpoint import Checkpoint
from pipeline.fingerprint import config_hash
from pipeline.job import JobSpec
from pipeline.report_model import (
    Backends,
    Color,
    Failure,
    Input,
    InputAudio,
    InputVideo,
    Model,
    Output,
    OutputAudio,
    OutputVideo,
    Report,
    Resilience,
    StageTiming,
    Timing,
)
from pipeline.stream import StreamOutcome
from pipeline.timing import JobClock

MODELS = (YUNET, DLIB_FACE_RESNET)


def describe_input(spec: JobSpec, info: MediaInfo | None, sha256: str | None) -> Input:
    """The report's input section; with no ``info`` when the file could not be probed."""
    if info is None:
        size = spec.source.stat().st_size if spec.source.exists() else 0
        return Input(
            path=spec.input_name,
            bytes=size,
            sha256=sha256,
            container=None,
            duration_s=None,
            video=None,
            audio=[],
        )
    v = info.video
    video = InputVideo(
        codec=v.codec,
        width=v.width,
        height=v.height,
        pix_fmt=v.pix_fmt,
        fps=round(float(v.fps), 6),
        vfr=v.vfr,
        frames=v.frames_from_header,
        rotation=v.rotation_deg,
        interlaced=v.interlaced,
        color=Color(
            primaries=v.color.primaries,
            transfer=v.color.transfer,
            matrix=v.color.matrix,
            full_range=v.color.full_range,
        ),
    )
    audio = [
        InputAudio(codec=a.codec, sample_rate=a.sample_rate, channels=a.channels, language=a.language)
        for a in info.audio
    ]
    return Input(
        path=spec.input_name,
        bytes=info.bytes,
        sha256=sha256,
        container=info.container,
        duration_s=info.duration_s,
        video=video,
        audio=audio,
    )


def describe_timing(clock: JobClock, *, wall_s: float, frames: int, duration_s: float) -> Timing:
    stages = {
        stage: StageTiming(
            total_s=round(timer.total_s, 3),
            p50_ms=round(timer.percentile_ms(50), 3),
            p95_ms=round(timer.percentile_ms(95), 3),
            p99_ms=round(timer.percentile_ms(99), 3),
        )
        for stage, timer in clock.timers.items()
    }
    wall_s = max(wall_s, 1e-3)
    return Timing(
        wall_s=round(wall_s, 3),
        fps=round(frames / wall_s, 2),
        realtime_factor=round(duration_s / wall_s, 3),
        stages=stages,
    )


def versions() -> dict[str, str]:
    """Versions of the program and of what computes pictures."""
    names = ("dualface", "av", "numpy", "opencv-python-headless", "onnxruntime")
    return {name: metadata.version(name) for name in names} | {"python": platform.python_version()}


def failure_report(spec: JobSpec, error: ExplainedError, *, info: MediaInfo | None = None) -> dict[str, Any]:
    """The report of a job that failed for good."""
    report = Report(
        status="failed",
        job=spec.job_id,
        host=spec.host,
        profile=spec.profile_name,
        verdict=f"Not done: {error.message}",
        input=describe_input(spec, info, None),
        resilience=Resilience(
            attempts=spec.attempt,
            resumed_at_s=[],
            decode_errors=0,
            replaced_frames=0,
            dropped_frames=0,
            checkpoints=0,
        ),
        error=Failure(code=error.code, message=error.message, remedy=error.remedy, retryable=error.retryable),
        versions=versions(),
        config_hash=config_hash(spec),
    )
    return report.to_json()


def describe_backends(evidence: Evidence) -> Backends:
    outcome = evidence.outcome
    return Backends(
        decoder=outcome.decoder,
        inference=outcome.inference,
        compositor=outcome.compositor,
        encoder=evidence.checkpoint.encoder,
        device=evidence.device,
        cpu_fallback=False,
        bytes_device_to_host_per_frame=0,
        notes=list(outcome.notes),
    )


def verdict(evidence: Evidence) -> str:
    """One sentence that says how the job went."""
    people = evidence.outcome.identity["people_seen"]
    found = {0: "Nobody was found", 1: "One person was found"}.get(people, "Both people were found")
    trouble = _trouble(evidence.checkpoint)
    pace = evidence.assembled.duration_s / max(evidence.wall_s, 1e-3)
    return f"{found}; {evidence.checkpoint.frames} pictures at {pace:.1f} times real time{trouble}."


def _trouble(checkpoint: Checkpoint) -> str:
    replaced = checkpoint.counters["replaced_frames"]
    parts = [
        f", {replaced} damaged pictures replaced" if replaced else "",
        ", the end of the source is missing" if checkpoint.counters["truncated"] else "",
        f", resumed {len(checkpoint.resumed_at_s)} times" if checkpoint.resumed_at_s else "",
    ]
    return "".join(parts)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a finished job leaves for its report."""

    info: MediaInfo
    sha256: str
    device: str
    checkpoint: Checkpoint
    clock: JobClock
    outcome: StreamOutcome
    assembled: Assembled
    width: int
    height: int
    wall_s: float


def success_report(spec: JobSpec, evidence: Evidence) -> Report:
    """The report of a finished job; delivery fills in the output's path."""
    checkpoint, assembled = evidence.checkpoint, evidence.assembled
    return Report(
        status="succeeded",
        job=spec.job_id,
        host=spec.host,
        profile=spec.profile_name,
        verdict=verdict(evidence),
        input=describe_input(spec, evidence.info, evidence.sha256),
        output=Output(
            path=None,
            bytes=assembled.video.stat().st_size,
            frames=checkpoint.frames,
            duration_s=round(assembled.duration_s, 6),
            video=OutputVideo(codec="h264", encoder=checkpoint.encoder, width=evidence.width, height=evidence.height),
            audio=OutputAudio(mode=assembled.audio.mode, streams=assembled.audio.streams),
        ),
        identity=evidence.outcome.identity,
        timing=describe_timing(
            evidence.clock, wall_s=evidence.wall_s, frames=checkpoint.frames, duration_s=assembled.duration_s
        ),
        backends=describe_backends(evidence),
        resilience=Resilience(
            attempts=spec.attempt,
            resumed_at_s=checkpoint.resumed_at_s,
            dropped_frames=0,
            decode_errors=checkpoint.counters["decode_errors"],
            replaced_frames=checkpoint.counters["replaced_frames"],
            truncated=checkpoint.counters["truncated"],
            checkpoints=checkpoint.checkpoints,
            skipped_audio_packets=assembled.audio.skipped_packets,
        ),
        versions=versions(),
        config_hash=config_hash(spec),
        models=[Model(name=m.name, licence=m.licence, sha256=m.sha256) for m in MODELS],
    )
