"""The report of a finished job."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from engines.frames import MediaInfo
from engines.media_warnings import MediaWarning
from engines.versions import gpu_versions
from pipeline.degradation.controller import spans
from pipeline.fingerprint import MODELS, config_hash
from pipeline.job import JobSpec
from pipeline.rendering.encoder_factory import codec_of
from pipeline.rendering.frame_rate import OutputRate
from pipeline.rendering.stream import StreamOutcome
from pipeline.report.common import describe_input
from pipeline.report.completeness import warnings_of
from pipeline.report.doubts import places_to_check, request_to_check
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
from pipeline.telemetry.timing import JobTelemetry


def describe_timing(finished: FinishedJob) -> Timing:
    stages = {
        stage: StageTiming(
            total_s=round(timer.total_s, 3),
            p50_ms=round(timer.percentile_ms(50), 3),
            p95_ms=round(timer.percentile_ms(95), 3),
            p99_ms=round(timer.percentile_ms(99), 3),
        )
        for stage, timer in finished.telemetry.timers.items()
    }
    wall_s = max(finished.wall_s, 1e-3)
    return Timing(
        wall_s=round(wall_s, 3),
        fps=round(finished.checkpoint.frames / wall_s, 2),
        realtime_factor=round(finished.assembled.duration_s / wall_s, 3),
        stages=stages,
        workers=max(1, finished.checkpoint.part_workers),
    )


def describe_backends(finished: FinishedJob) -> Backends:
    outcome = finished.outcome
    return Backends(
        decoder=outcome.decoder,
        inference=outcome.inference,
        compositor=outcome.compositor,
        encoder=finished.checkpoint.encoder,
        device=outcome.device,
        cpu_fallback=outcome.cpu_fallback,
        bytes_device_to_host_per_frame=outcome.bytes_to_host_per_frame,
        notes=[*outcome.notes, *filter(None, [finished.checkpoint.encoder_note])],
    )


def describe_video(finished: FinishedJob) -> OutputVideo:
    rate = finished.rate
    return OutputVideo(
        codec=codec_of(finished.checkpoint.encoder),
        encoder=finished.checkpoint.encoder,
        width=finished.width,
        height=finished.height,
        fps=round(float(rate.fps), 6),
        vfr=finished.info.video.vfr,
        thinned_from_fps=round(float(rate.thinned_from_fps), 6) if rate.thinned_from_fps else None,
    )


def verdict(finished: FinishedJob, warnings: int) -> str:
    """Return one sentence on how the job went."""
    people = finished.outcome.identity["people_seen"]
    found = {0: "Nobody was found", 1: "One person was found"}.get(people, "Both people were found")
    if finished.outcome.layout == "single":
        found += ", so the video shows one full frame instead of two tiles"
    problems = _problems(finished.checkpoint) + _reductions(finished)
    problems += f", with {warnings} warning{'s' if warnings > 1 else ''}" if warnings else ""
    pace = finished.assembled.duration_s / max(finished.wall_s, 1e-3)
    return f"{found}; {finished.checkpoint.frames} frames at {pace:.1f} times real time{problems}.{_check(finished)}"


def _check(finished: FinishedJob) -> str:
    """Return the sentence that asks people to look at the places of doubt, with a blank before it."""
    places = places_to_check(finished.outcome.identity.get("doubts", []))
    return f" {request_to_check(places)}" if places else ""


def _problems(checkpoint: Checkpoint) -> str:
    replaced = checkpoint.counters.replaced_frames
    parts = [
        f", {replaced} damaged frames replaced" if replaced else "",
        ", the end of the source is missing" if checkpoint.counters.truncated else "",
        f", resumed {len(checkpoint.resumed_at_s)} times" if checkpoint.resumed_at_s else "",
    ]
    return "".join(parts)


def _reductions(finished: FinishedJob) -> str:
    found = spans(finished.checkpoint, finished.info.video.time_base)
    degraded = [span for span in found if span.lowers_quality]
    pauses = len(found) - len(degraded)
    parts = [f", paused {pauses} times"] if pauses else []
    if degraded:
        length_s = sum(span.to_s - span.from_s for span in degraded)
        parts.append(f", {length_s:.0f} s at reduced quality: {degraded[0].reason.rstrip('.')}")
    return "".join(parts)


@dataclass(frozen=True, slots=True)
class FinishedJob:
    """What the report of a finished job is made of."""

    rate: OutputRate
    sha256: str
    checkpoint: Checkpoint
    telemetry: JobTelemetry
    outcome: StreamOutcome
    assembled: Assembled
    width: int
    height: int
    wall_s: float

    @property
    def info(self) -> MediaInfo:
        """The source as if it held exactly the output's frames."""
        return self.rate.info


def _warnings(finished: FinishedJob) -> tuple[MediaWarning, ...]:
    return warnings_of(finished.info, finished.checkpoint, finished.assembled, finished.outcome.warnings)


def success_report(spec: JobSpec, finished: FinishedJob) -> Report:
    """Return the report of a finished job; delivery fills in the path of the output."""
    checkpoint, assembled = finished.checkpoint, finished.assembled
    loudness = assembled.audio.loudness
    compute = checkpoint.compute_class
    found = spans(checkpoint, finished.info.video.time_base)
    warnings = [Warned(**w.to_json()) for w in _warnings(finished)]
    return Report(
        status="succeeded_degraded" if any(span.lowers_quality for span in found) else "succeeded",
        job=spec.job_id,
        host=spec.host,
        profile=spec.profile_name,
        verdict=verdict(finished, len(warnings)),
        warnings=warnings,
        input=describe_input(spec, finished.rate.source, finished.sha256),
        output=Output(
            path=None,
            bytes=assembled.video.stat().st_size,
            frames=checkpoint.frames,
            duration_s=round(assembled.duration_s, 6),
            video=describe_video(finished),
            audio=OutputAudio(
                mode=assembled.audio.mode, streams=[OutputAudioStream(**asdict(s)) for s in assembled.audio.streams]
            ),
            loudness=LoudnessFigures(**asdict(loudness)) if loudness else None,
            layout=finished.outcome.layout,
        ),
        identity=finished.outcome.identity,
        timing=describe_timing(finished),
        degradation=[
            DegradationSpan(from_s=s.from_s, to_s=s.to_s, level=s.level.value, reason=s.reason) for s in found
        ],
        backends=describe_backends(finished),
        compute=Compute(**{name: compute["gpu" if name == "card" else name] for name in Compute.model_fields}),
        resilience=Resilience(
            attempts=spec.attempt,
            resumed_at_s=checkpoint.resumed_at_s,
            dropped_frames=sum(s.skipped for s in checkpoint.segments),
            decode_errors=checkpoint.counters.replaced_frames,
            replaced_frames=checkpoint.counters.replaced_frames,
            truncated=checkpoint.counters.truncated,
            checkpoints=checkpoint.checkpoints,
            reused_segments=checkpoint.reused_segments,
            skipped_audio_packets=assembled.audio.skipped_packets,
            started_over=checkpoint.started_over,
        ),
        versions=gpu_versions() | compute["versions"],
        config_hash=config_hash(spec),
        models=[Model(name=m.name, licence=m.licence, sha256=m.sha256) for m in MODELS],
    )
