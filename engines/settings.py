"""Settings of devices and encoders."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """Base of every settings section: unknown keys are errors, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


GPUNumber = Annotated[int, Field(ge=0, le=63)]


class DeviceSettings(Section):
    """Which device does the work."""

    backend: Annotated[
        Literal["auto", "cpu", "cuda"],
        Field(description="Device that decodes, detects, composes and encodes; auto takes CUDA where it works"),
    ] = "auto"
    index: Annotated[
        Literal["auto"] | GPUNumber | Annotated[tuple[GPUNumber, ...], Field(min_length=1, max_length=64)],
        Field(description="Number of the CUDA device, a list of numbers to spread jobs over, or auto for all GPUs"),
    ] = 0
    jobs_per_card: Annotated[
        Literal["auto"] | Annotated[int, Field(ge=1, le=256)],
        Field(
            description="Most jobs on one GPU; auto spreads the jobs evenly",
            json_schema_extra={"unit": "jobs"},
        ),
    ] = "auto"
    vram_guard: Annotated[
        float,
        Field(
            ge=0.1,
            le=0.95,
            description="Share of the GPU's memory that jobs may fill",
            json_schema_extra={"unit": "fraction"},
        ),
    ] = 0.70
    undecodable: Annotated[
        Literal["cpu", "wait", "fail"],
        Field(description="A stream that the GPU cannot decode: decode it on the CPU, let the job wait, or fail it"),
    ] = "cpu"
    max_batch: Annotated[
        int,
        Field(
            ge=1,
            le=32,
            description="Most frames that go through the detector together",
            json_schema_extra={"unit": "frames"},
        ),
    ] = 16
    inference: Annotated[
        Literal["auto", "tensorrt", "onnxruntime"],
        Field(description="Runtime of the models on a GPU; auto takes TensorRT where it works, else ONNX Runtime"),
    ] = "auto"
    precision: Annotated[
        Literal["fp16", "fp32"], Field(description="Arithmetic of TensorRT engines; ONNX Runtime computes in fp32")
    ] = "fp16"
    nvenc_max_sessions: Annotated[
        Literal["auto"] | Annotated[int, Field(ge=0, le=256)],
        Field(
            description="NVENC sessions that jobs may hold at once; auto counts them when the service starts",
            json_schema_extra={"unit": "sessions"},
        ),
    ] = "auto"
    nvenc_wait_s: Annotated[
        float,
        Field(
            ge=0,
            le=3600,
            description="How long a job waits for a free NVENC session",
            json_schema_extra={"unit": "s"},
        ),
    ] = 30.0
    nvenc_fallback: Annotated[
        bool,
        Field(description="Let x264 encode where no NVENC session came free in time; false: the job is put off"),
    ] = True

    @property
    def gpus(self) -> tuple[int, ...]:
        """Numbers of the GPUs that are named, each once; empty for auto, which means all."""
        if self.index == "auto":
            return ()
        return (self.index,) if isinstance(self.index, int) else tuple(dict.fromkeys(self.index))

    @property
    def gpu(self) -> int:
        """The number of the first GPU that may be used."""
        return self.gpus[0] if self.gpus else 0

    def on_gpu(self, index: int) -> DeviceSettings:
        """Return these settings for one GPU."""
        return self.model_copy(update={"index": index})


class EncoderSettings(Section):
    """How the delivered video is encoded."""

    encoder: Annotated[
        Literal["auto", "nvenc", "x264"],
        Field(description="Video encoder; auto takes NVENC where the GPU has it, else x264"),
    ] = "auto"
    preset: Annotated[
        Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"],
        Field(description="x264 preset: slower makes smaller files"),
    ] = "veryfast"
    crf: Annotated[
        int,
        Field(
            ge=0,
            le=51,
            description="Constant rate factor: lower is better and larger",
            json_schema_extra={"unit": "CRF"},
        ),
    ] = 20
    hdr: Annotated[
        Literal["tonemap", "keep"],
        Field(
            description="HDR (HLG, PQ) and BT.2020: tonemap makes BT.709 SDR of it, which plays everywhere; "
            "keep delivers HEVC Main 10 as bright as it came, on the CPU with encoder: auto"
        ),
    ] = "tonemap"
    threads: Annotated[
        int,
        Field(
            ge=0,
            le=128,
            description="Encoder threads; 0 chooses from the cores",
            json_schema_extra={"unit": "threads"},
        ),
    ] = 0


class LimitsSettings(Section):
    """The largest recordings that are accepted; checked before memory is used."""

    pixels: Annotated[
        int,
        Field(
            ge=64 * 64,
            le=2**28,
            description="Largest frame, width times height",
            json_schema_extra={"unit": "pixels"},
        ),
    ] = 35_389_440
    duration_s: Annotated[
        float, Field(gt=0, le=30 * 86400, description="Longest recording", json_schema_extra={"unit": "s"})
    ] = 43_200
