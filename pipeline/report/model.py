"""The format of reports, "dualface.report/1". The checked-in JSON Schema is generated from here."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from pipeline.settings import LevelName

SCHEMA = "dualface.report/1"
Status = Literal["succeeded", "succeeded_degraded", "failed"]
STATUSES: tuple[str, ...] = get_args(Status)


class Part(BaseModel):
    """Base of the report's parts: fields may be added, none is renamed."""

    model_config = ConfigDict(extra="forbid")


class Color(Part):
    primaries: Annotated[int, Field(description="H.273 code point; 2 is unspecified")]
    transfer: int
    matrix: int
    full_range: bool


class InputVideo(Part):
    codec: str
    width: Annotated[int, Field(description="Of the displayed frame: rotation and pixel aspect applied")]
    height: int
    pix_fmt: str
    fps: float
    vfr: bool
    frames: Annotated[int | None, Field(description="As the header says; null where it does not")]
    rotation: Annotated[int, Field(description="Degrees")]
    interlaced: bool
    color: Color
    index: Annotated[int, Field(description="Of the stream in the source")] = 0
    chosen_because: Annotated[str, Field(description="Why this stream and no other, in English")] = ""


class InputAudio(Part):
    codec: str
    sample_rate: int
    channels: int
    language: str | None


class Input(Part):
    path: str
    bytes: int
    sha256: str | None
    container: str | None
    duration_s: float | None
    video: InputVideo | None
    audio: list[InputAudio]
    parts: Annotated[
        list[str],
        Field(description="The files that were joined, in order; bytes and sha256 are those of the joined file"),
    ] = []


class OutputVideo(Part):
    codec: str
    encoder: str
    width: int
    height: int
    fps: Annotated[float | None, Field(description="Mean frame rate")] = None
    vfr: Annotated[bool | None, Field(description="false: every frame lasts equally long")] = None
    thinned_from_fps: Annotated[
        float | None, Field(description="The source's frame rate where the profile made it lower; else null")
    ] = None


class LoudnessFigures(Part):
    """Measured by EBU R 128 over the whole stream."""

    integrated_lufs: float
    range_lu: float
    true_peak_dbtp: float


class OutputAudioStream(Part):
    index: Annotated[int, Field(description="Of the stream in the source; of the first one where several are mixed")]
    codec: str
    mode: Literal["copied", "transcoded", "dropped"]
    output_codec: str | None
    packets: int
    skipped_packets: Annotated[int, Field(description="Damaged, left out")]
    sources: Annotated[list[int], Field(description="All streams of the source that it contains")] = []
    channels: int | None = None
    layout: Annotated[str | None, Field(description="Of the result's channels, FFmpeg's name")] = None
    rule: Annotated[
        Literal["kept", "positions", "discrete", "mixed"] | None,
        Field(description="How channels became those of the result, see docs/audio.md; mixed: several mono streams"),
    ] = None
    gain_db: Annotated[float | None, Field(description="By which a mix was turned down so that it cannot clip")] = None
    reason: Annotated[str | None, Field(description="Why it was not copied")] = None
    loudness: Annotated[LoudnessFigures | None, Field(description="null: silent, or too short to measure")] = None


class OutputAudio(Part):
    mode: Literal["copied", "transcoded", "none"]
    streams: list[OutputAudioStream] = []


class Output(Part):
    path: Annotated[str | None, Field(description="Final name; null until it is delivered")]
    bytes: int
    frames: int
    duration_s: float
    video: OutputVideo
    audio: OutputAudio
    loudness: Annotated[LoudnessFigures | None, Field(description="Of the first audio stream")] = None
    layout: Annotated[
        Literal["split", "single"],
        Field(description="single: one person at most is in the whole file and is shown full frame, without tiles"),
    ] = "split"


class StageTiming(Part):
    total_s: float
    p50_ms: Annotated[float, Field(description="Per frame, median; the others likewise")]
    p95_ms: float
    p99_ms: float


class Timing(Part):
    wall_s: Annotated[float, Field(description="Of all attempts together")]
    fps: float
    realtime_factor: float
    stages: dict[str, StageTiming]
    workers: Annotated[
        int, Field(description="Most workers that shared the work on the recording; stages add up their times")
    ] = 1


class DegradationSpan(Part):
    from_s: float
    to_s: float
    level: Annotated[
        LevelName, Field(description="pause: the work paused here, and the result is the same as without it")
    ]
    reason: str


class Backends(Part):
    decoder: str
    inference: str
    compositor: str
    encoder: str
    device: str
    cpu_fallback: bool
    bytes_device_to_host_per_frame: int
    notes: Annotated[list[str], Field(description="Why something better was not used")] = []


class Resilience(Part):
    attempts: int
    resumed_at_s: list[float]
    decode_errors: int
    replaced_frames: int
    dropped_frames: int
    checkpoints: int
    truncated: Annotated[bool, Field(description="The end of the source is missing")] = False
    skipped_audio_packets: int = 0
    reused_segments: Annotated[int, Field(description="Segments that an earlier job on the same source rendered")] = 0
    started_over: Annotated[
        list[str], Field(description="Why earlier work on the recording could not be continued, once for each time")
    ] = []


class Warned(Part):
    code: str
    stream: Annotated[int | None, Field(description="Index in the source; null for the whole file")]
    from_s: Annotated[float | None, Field(description="On the result's timeline; null where not known, or all of it")]
    to_s: float | None
    message: Annotated[str, Field(description="One sentence for people, in English")]
    message_ko: Annotated[str, Field(description="The same in Korean")]


class Compute(Part):
    """Where it was rendered: a job continues only where all of this, and all versions, are the same."""

    backend: Literal["cpu", "cuda"]
    machine: Annotated[str, Field(description="Architecture of the processor")]
    cpu_features: Annotated[str, Field(description="Instruction sets that libraries choose their code by")]
    opencv_features: Annotated[str, Field(description="Those that OpenCV uses")]
    blas: Annotated[str, Field(description="Processor for which OpenBLAS has chosen its kernels; empty: not known")]
    card: Annotated[str, Field(description="Name of the GPU; empty on the CPU")]
    generation: Annotated[str, Field(description="Its compute capability, such as sm90; empty on the CPU")]
    inference: Annotated[str, Field(description="Runtime and precision of detector and face embedding")]


class Failure(Part):
    code: str
    message: str
    remedy: str
    retryable: bool


class Model(Part):
    name: str
    licence: str
    sha256: str


class Report(Part):
    """NAME.dual.report.json, and failed/NAME.report.json."""

    schema_: Annotated[str, Field(alias="schema")] = SCHEMA
    status: Status
    job: str
    host: str
    profile: str
    verdict: Annotated[str, Field(description="One sentence for people")]
    warnings: Annotated[list[Warned], Field(description="What the result lacks of the source; empty: nothing")] = []
    input: Input
    output: Output | None = None
    identity: dict[str, Any] | None = None
    timing: Timing | None = None
    degradation: list[DegradationSpan] = []
    backends: Backends | None = None
    compute: Compute | None = None
    resilience: Resilience
    error: Failure | None = None
    versions: dict[str, str]
    config_hash: str
    models: list[Model] = []

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a report."""
    return Report.model_json_schema(by_alias=True)


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2))  # noqa: T201
