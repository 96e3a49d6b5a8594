"""Errors of the engines, and the shape that all errors of the project share."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any


class Component(StrEnum):
    """The component of the machine or of the installation that an error is about."""

    DEVICE = "device"  # the GPU with all of its software
    GPU = "gpu"
    DRIVER = "driver"
    DECODER = "decoder"
    ENCODER = "encoder"
    LIBRARIES = "libraries"
    MODELS = "models"
    TENSORRT_ENGINES = "tensorrt_engines"
    DISK_SPACE = "disk_space"
    DISK_SIZE = "disk_size"
    STORAGE = "storage"


class ExplainedError(Exception):
    """An error that a report can show to a user as it is.

    Subclasses set the class attributes; the constructor's message says what happened in this case. Code and remedy
    speak of the layer that raises the error. What helps in the layers above, such as a setting or a command, is added
    by the daemon (``daemon.remedies``), which finds it by code and component.

    Attributes:
        code: stable machine code, ``UPPER_SNAKE``.
        remedy: what the reader should do, one or two sentences.
        retryable: whether the same work may succeed later with the same file.
        environmental: the cause lies outside the file (disk, share, device), so it costs no attempt.
        component: what the error is about, if it is not the file; None if that is not known.
    """

    code = "INTERNAL"
    remedy = "Report this with the journal's lines for the job; it is a fault of the program."
    retryable = False
    environmental = False
    component: Component | None = None

    def __init__(self, message: str, *, remedy: str | None = None, component: Component | None = None) -> None:
        super().__init__(message)
        self.message = message
        if remedy is not None:
            self.remedy = remedy
        if component is not None:
            self.component = component

    def to_json(self) -> dict[str, Any]:
        """Return the error as a helper program answers with it."""
        return {
            "code": self.code,
            "message": self.message,
            "remedy": self.remedy,
            "environmental": self.environmental,
            "component": self.component,
        }


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
    component = Component.DEVICE
    retryable = True
    environmental = True


class NoSuchGPUError(DeviceUnavailableError):
    remedy = "Name a GPU that this machine has."
    component = Component.GPU


class ModelUnavailableError(EngineError):
    code = "MODEL_UNAVAILABLE"
    remedy = "Install the package again: its model files are missing or changed."
    component = Component.MODELS
    retryable = True
    environmental = True


class EncodeFailedError(EngineError):
    code = "ENCODE_FAILED"
    remedy = "Retry the file; if it fails again, report it with the journal's lines for the job."
    retryable = True


class DeviceOutOfMemoryError(EngineError):
    """The GPU has too little free memory; the same work may fit later, or with smaller frames."""

    code = "DEVICE_OUT_OF_MEMORY"
    remedy = "End other programs that use the GPU."
    component = Component.GPU
    retryable = True
    environmental = True


class VramGuardError(DeviceOutOfMemoryError):
    """The GPU is fuller than ``DeviceSettings.vram_guard`` allows, or would be."""

    code = "VRAM_GUARD"


class DeviceLostError(EngineError):
    """The process's CUDA context is broken: only a new process can use the GPU again."""

    code = "DEVICE_LOST"
    remedy = "The work goes on in a new process; where this repeats, check the driver's messages with `dmesg`."
    component = Component.DRIVER
    retryable = True
    environmental = True


class EncoderBusyError(EngineError):
    """All encoder sessions that the GPU and its driver allow are taken."""

    code = "ENCODER_BUSY"
    remedy = "The job goes on when an encoder comes free."
    component = Component.ENCODER
    retryable = True
    environmental = True


class EncoderMissingError(DeviceUnavailableError):
    """The GPU has no encoder."""

    code = "ENCODER_MISSING"
    remedy = "This GPU has no video encoder: encode on the CPU."
    component = Component.ENCODER


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes, the innermost last."""
    while error is not None:
        yield error
        error = error.__cause__
