"""The report of a failed job, and what it has in common with that of a finished one. Loads no codecs."""

from __future__ import annotations

from typing import Any

from engines.frames import MediaInfo
from engines.versions import gpu_versions, host_versions
from pipeline.fingerprint import config_hash
from pipeline.job import JobSpec
from pipeline.report.doubts import places_to_check
from pipeline.report.model import (
    Color,
    Failure,
    Input,
    InputAudio,
    InputVideo,
    Report,
    Resilience,
)


def describe_input(spec: JobSpec, info: MediaInfo | None, sha256: str | None) -> Input:
    """Return the report's input section; ``info`` is None if the file could not be probed."""
    parts = [spec.input_name, *spec.part_names] if spec.part_names else []
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
            parts=parts,
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
        index=v.index,
        chosen_because=v.chosen_because,
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
        parts=parts,
    )


def failure_report(spec: JobSpec, failure: Failure) -> dict[str, Any]:
    """Return the report of a job that has failed for good."""
    report = Report(
        status="failed",
        job=spec.job_id,
        host=spec.host,
        profile=spec.profile_name,
        verdict=f"Not done: {failure.message}",
        input=describe_input(spec, None, None),
        resilience=Resilience(
            attempts=spec.attempt,
            resumed_at_s=[],
            decode_errors=0,
            replaced_frames=0,
            dropped_frames=0,
            checkpoints=0,
        ),
        error=failure,
        versions=host_versions() | gpu_versions(),
        config_hash=config_hash(spec),
    )
    return report.to_json()


def facts(report: Report) -> dict[str, Any]:
    """Return what the verdict on a finished job says, as numbers, from which pages make texts in other languages."""
    identity, timing, output, backends = report.identity or {}, report.timing, report.output, report.backends
    return {
        "people": identity.get("people_seen"),
        "layout": output.layout if output else None,
        "duration_s": output.duration_s if output else None,
        "realtime": timing.realtime_factor if timing else None,
        "replaced_frames": report.resilience.replaced_frames,
        "truncated": report.resilience.truncated,
        "resumed": len(report.resilience.resumed_at_s),
        "repaired_swaps": identity.get("repaired_swaps_total", 0),
        "check": places_to_check(identity.get("doubts", [])),
        "pauses": sum(span.level == "pause" for span in report.degradation),
        "degraded_s": round(sum(span.to_s - span.from_s for span in report.degradation), 1),
        "sound": _audio(report),
        "sound_damaged": report.resilience.skipped_audio_packets > 0,
        "cpu_fallback": backends.cpu_fallback if backends else False,
        "notes": backends.notes if backends else [],
        "warnings": [warned.model_dump() for warned in report.warnings],
    }


def _audio(report: Report) -> str | None:
    """Return the mode of the output's audio, or "lost" if the recording has audio and the output has none."""
    mode = report.output.audio.mode if report.output else None
    return "lost" if mode == "none" and report.input.audio else mode
