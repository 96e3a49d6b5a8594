"""Errors of the engines, and the shape that all errors of the project share."""

from __future__ import annotations

from collections.abc import Iterator


class ExplainedError(Exception):
    """An error that a report can show to a user as it is.

    Subclasses set the class attributes; the constructor's message says what happened in this case.

    Attributes:
        code: stable machine code, ``UPPER_SNAKE``.
        remedy: what the reader should do, one or two sentences.
        retryable: whether the same work may succeed later with the same file.
        environmental: the cause lies outside the file (disk, share, device), so it costs no attempt.
        doctor_check: which check of ``dualface doctor`` shows more; "" where none does. The remedy names it.
    """

    code = "INTERNAL"
    remedy = "Report this with the journal's lines for the job; it is a fault of the program."
    retryable = False
    environmental = False
    doctor_check = ""

    def __init__(self, message: str, *, remedy: str | None = None, doctor_check: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if remedy is not None:
            self.remedy = remedy
        if doctor_check is not None:
            self.doctor_check = doctor_check
        if self.doctor_check and "dualface doctor" not in self.remedy:
            self.remedy = f"{self.remedy} {doctor_hint(self.doctor_check)}"


def doctor_hint(check: str) -> str:
    """Return the last sentence of a remedy: the check that shows more."""
    return f"More: `dualface doctor --only {check}`."


class EngineError(ExplainedError):
    """Base of everything that a device, codec or model runtime raises."""


class MediaError(EngineError):
    """Base of what is wrong with the file itself: a retry cannot help."""


class EmptyFileError(MediaError):
    code = "EMPTY_FILE"
    remedy = "The file has no content. Copy it again from its source."


class NotMediaError(MediaError):
    code = "NOT_MEDIA"
    remedy = "This is not a video file, whatever its name says. Export it again as MP4, MOV or MKV."


class TruncatedFileError(MediaError):
    code = "TRUNCATED"
    remedy = "The end of the file is missing, usually because a copy or recording broke off. Copy it again."


class IndexTooLargeError(MediaError):
    code = "INDEX_TOO_LARGE"
    remedy = "The file's index is damaged or was made to do harm. Export the recording again from its source."


class NoVideoError(MediaError):
    code = "NO_VIDEO"
    remedy = "The file holds audio but no video. Check what the editor exported."


class StillImageError(MediaError):
    code = "STILL_IMAGE"
    remedy = "This is a photograph, not a video. Drop the recording itself."


class UnsupportedCodecError(MediaError):
    code = "UNSUPPORTED_CODEC"
    remedy = "Export the recording as H.264 or HEVC in an MP4 or MOV file."


class EncryptedMediaError(MediaError):
    code = "ENCRYPTED"
    remedy = "The file is protected against copying. Export it without protection."


class DecodeFailedError(MediaError):
    code = "DECODE_FAILED"
    remedy = "No frame of the file could be decoded. Export it again from its source."


class DeviceUnavailableError(EngineError):
    code = "DEVICE_UNAVAILABLE"
    remedy = "Install or repair the part of the device's software that is named."
    doctor_check = "backend"
    retryable = True
    environmental = True


class ModelUnavailableError(EngineError):
    code = "MODEL_UNAVAILABLE"
    remedy = "Install the package again: its model files are missing or changed."
    doctor_check = "models"
    retryable = True
    environmental = True


class EncodeFailedError(EngineError):
    code = "ENCODE_FAILED"
    remedy = "Retry the file; if it fails again, report it with the journal's lines for the job."
    retryable = True


class DeviceOutOfMemoryError(EngineError):
    """The GPU has too little free memory; the same work may fit later, or with smaller frames."""

    code = "DEVICE_OUT_OF_MEMORY"
    remedy = "Lower workers.concurrent_jobs or device.max_batch, or end other programs that use the GPU."
    doctor_check = "cards"
    retryable = True
    environmental = True


class VramGuardError(DeviceOutOfMemoryError):
    """The GPU is fuller than ``device.vram_guard`` allows, or would be."""

    code = "VRAM_GUARD"
    remedy = "End other programs that use the GPU, lower workers.concurrent_jobs, or raise device.vram_guard."


class DeviceLostError(EngineError):
    """The process's CUDA context is broken: only a new process can use the GPU again."""

    code = "DEVICE_LOST"
    remedy = "The work goes on in a new process; where this repeats, check the driver's messages with `dmesg`."
    doctor_check = "driver"
    retryable = True
    environmental = True


class EncoderBusyError(EngineError):
    """All encoder sessions that the GPU and its driver allow are taken."""

    code = "ENCODER_BUSY"
    remedy = (
        "The job goes on when an encoder comes free. Or lower workers.concurrent_jobs, or let x264 stand in: encoder"
        " auto in the profile, and device.nvenc_fallback."
    )
    doctor_check = "codecs-cuda"
    retryable = True
    environmental = True


class EncoderMissingError(DeviceUnavailableError):
    """The GPU has no encoder."""

    code = "ENCODER_MISSING"
    remedy = "Set encoder to auto or x264 in the profile: this GPU has no video encoder."
    doctor_check = "codecs-cuda"


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes, the innermost last."""
    while error is not None:
        yield error
        error = error.__cause__
