"""The report of a finished job: what was done to a file, how, and how well."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from engines.frames import MediaInfo
from engines.media_warnings import MediaWarning
from engines.versions import gpu_versions
from pipeline.degradation.controller import spans
from pipeline.fingerprint import config_hash
from pipeline.job import JobSpec
from pipeline.rendering.build import StreamOutcome
from pipeline.rendering.encoder_factory import codec_of
from pipeline.rendering.frame_rate import OutputRate
from pipeline.report.common import MODELS, describe_input
from pipeline.report.completeness import warnings_of
from pipeline.report.model import (
    Backends,
    Compute,
    DegradationSpan,
    LoudnessFigures,
    Model,
    Output,
    OutputAudio,
    OutputAudioStream,
    OutputVideo,
    Report,
    Resilience,
    StageTiming,
    Timing,
    Warned,
)
from pipeline.segments.assemble import Assembled
from pipeline.segments.checkpoint import Checkpoint
from pipeline.telemetry.timing import JobClock


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


def describe_backends(evidence: Evidence) -> Backends:
    outcome = evidence.outcome
    return Backends(
        decoder=outcome.decoder,
        inference=outcome.inference,
        compositor=outcome.compositor,
        encoder=evidence.checkpoint.encoder,
        device=outcome.device,
        cpu_fallback=outcome.cpu_fallback,
        bytes_device_to_host_per_frame=outcome.bytes_to_host_per_frame,
        notes=[*outcome.notes, *filter(None, [evidence.checkpoint.encoder_note])],
    )


def describe_video(evidence: Evidence) -> OutputVideo:
    rate = evidence.rate
    return OutputVideo(
        codec=codec_of(evidence.checkpoint.encoder),
        encoder=evidence.checkpoint.encoder,
        width=evidence.width,
        height=evidence.height,
        fps=round(float(rate.fps), 6),
        vfr=evidence.info.video.vfr,
        thinned_from_fps=round(float(rate.thinned_from_fps), 6) if rate.thinned_from_fps else None,
    )


def verdict(evidence: Evidence, warnings: int) -> str:
    """One sentence that says how the job went."""
    people = evidence.outcome.identity["people_seen"]
    found = {0: "Nobody was found", 1: "One person was found"}.get(people, "Both people were found")
    trouble = _trouble(evidence.checkpoint) + _cut_down(evidence)
    trouble += f", with {warnings} warning{'s' if warnings > 1 else ''}" if warnings else ""
    pace = evidence.assembled.duration_s / max(evidence.wall_s, 1e-3)
    return f"{found}; {evidence.checkpoint.frames} frames at {pace:.1f} times real time{trouble}."


def _trouble(checkpoint: Checkpoint) -> str:
    replaced = checkpoint.counters["replaced_frames"]
    parts = [
        f", {replaced} damaged frames replaced" if replaced else "",
        ", the end of the source is missing" if checkpoint.counters["truncated"] else "",
        f", resumed {len(checkpoint.resumed_at_s)} times" if checkpoint.resumed_at_s else "",
    ]
    return "".join(parts)


def _cut_down(evidence: Evidence) -> str:
    found = spans(evidence.checkpoint, evidence.info.video.time_base)
    degraded = [span for span in found if span.lowers_quality]
    pauses = len(found) - len(degraded)
    parts = [f", paused {pauses} times"] if pauses else []
    if degraded:
        length_s = sum(span.to_s - span.from_s for span in degraded)
        parts.append(f", {length_s:.0f} s at reduced quality: {degraded[0].reason.rstrip('.')}")
    return "".join(parts)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a finished job leaves for its report."""

    rate: OutputRate
    sha256: str
    checkpoint: Checkpoint
    clock: JobClock
    outcome: StreamOutcome
    assembled: Assembled
    width: int
    height: int
    wall_s: float

    @property
    def info(self) -> MediaInfo:
        """The source, as if it held the output's frames."""
        return self.rate.info


def _warnings(evidence: Evidence) -> tuple[MediaWarning, ...]:
    return warnings_of(evidence.info, evidence.checkpoint, evidence.assembled, evidence.outcome.warnings)


def success_report(spec: JobSpec, evidence: Evidence) -> Report:
    """The report of a finished job; delivery fills in the output's path."""
    checkpoint, assembled = evidence.checkpoint, evidence.assembled
    loudness = assembled.audio.loudness
    compute = checkpoint.compute_class
    found = spans(checkpoint, evidence.info.video.time_base)
    warnings = [Warned(**w.to_json()) for w in _warnings(evidence)]
    return Report(
        status="succeeded_degraded" if any(span.lowers_quality for span in found) else "succeeded",
        job=spec.job_id,
        host=spec.host,
        profile=spec.profile_name,
        verdict=verdict(evidence, len(warnings)),
        warnings=warnings,
        input=describe_input(spec, evidence.rate.source, evidence.sha256),
        output=Output(
            path=None,
            bytes=assembled.video.stat().st_size,
            frames=checkpoint.frames,
            duration_s=round(assembled.duration_s, 6),
            video=describe_video(evidence),
            audio=OutputAudio(
                mode=assembled.audio.mode, streams=[OutputAudioStream(**asdict(s)) for s in assembled.audio.streams]
            ),
            loudness=LoudnessFigures(**asdict(loudness)) if loudness else None,
        ),
        identity=evidence.outcome.identity,
        timing=describe_timing(
            evidence.clock, wall_s=evidence.wall_s, frames=checkpoint.frames, duration_s=assembled.duration_s
        ),
        degradation=[
            DegradationSpan(from_s=s.from_s, to_s=s.to_s, level=s.level.value, reason=s.reason) for s in found
        ],
        backends=describe_backends(evidence),
        compute=Compute(**{name: compute["gpu" if name == "card" else name] for name in Compute.model_fields}),
        resilience=Resilience(
            attempts=spec.attempt,
            resumed_at_s=checkpoint.resumed_at_s,
            dropped_frames=sum(s.skipped for s in checkpoint.segments),
            decode_errors=checkpoint.counters["replaced_frames"],
            replaced_frames=checkpoint.counters["replaced_frames"],
            truncated=checkpoint.counters["truncated"],
            checkpoints=checkpoint.checkpoints,
            reused_segments=checkpoint.reused_segments,
            skipped_audio_packets=assembled.audio.skipped_packets,
            started_over=checkpoint.started_over,
        ),
        versions=gpu_versions() | compute["versions"],
        config_hash=config_hash(spec),
        models=[Model(name=m.name, licence=m.licence, sha256=m.sha256) for m in MODELS],
    )
