"""The remedy of an error as people read it.

Errors of the engines and of the pipeline name no command and no setting of the layers above. This module adds them, by
the error's code and component. Nothing else in the daemon reads ``ExplainedError.remedy``.
"""

from __future__ import annotations

from daemon.errors import DaemonError
from engines.errors import Component, ExplainedError

_CHECKS = {
    Component.DEVICE: "backend",
    Component.GPU: "cards",
    Component.DRIVER: "driver",
    Component.DECODER: "codecs-cuda",
    Component.ENCODER: "codecs-cuda",
    Component.LIBRARIES: "backend",  # the check "libraries" compares versions, and passes without an extra
    Component.MODELS: "models",
    Component.TENSORRT_ENGINES: "engines",
    Component.DISK_SPACE: "share-space",
    Component.DISK_SIZE: "share-limits",
    Component.STORAGE: "share",
}
_EXTRAS = "The extra dualface[cuda] holds what a GPU needs, dualface[cpu] what the CPU needs; install one of them."
_SETTINGS = {
    ("DEVICE_OUT_OF_MEMORY", Component.GPU): "Or lower workers.concurrent_jobs or device.max_batch.",
    ("VRAM_GUARD", Component.GPU): "Or lower workers.concurrent_jobs, or raise device.vram_guard.",
    ("DEVICE_UNAVAILABLE", Component.GPU): "Correct device.index.",
    ("DEVICE_UNAVAILABLE", Component.DECODER): "For the CPU, set device.undecodable: cpu.",
    ("DEVICE_UNAVAILABLE", Component.LIBRARIES): _EXTRAS,
    ("ENGINE_BUILD_FAILED", Component.LIBRARIES): _EXTRAS,
    ("ENCODER_BUSY", Component.ENCODER): (
        "Or lower workers.concurrent_jobs, or let x264 stand in: encoder auto in the profile, and"
        " device.nvenc_fallback."
    ),
    ("ENCODER_MISSING", Component.ENCODER): "Set encoder to auto or x264 in the profile.",
}


def remedy_of(error: ExplainedError) -> str:
    """Return what the reader should do: the error's own remedy, the settings that help, and where to see more."""
    settings = _SETTINGS.get((error.code, error.component)) if error.component else None
    remedy = f"{error.remedy} {settings}" if settings else error.remedy
    check = check_of(error)
    return f"{remedy} {doctor_hint(check)}" if check and "dualface doctor" not in remedy else remedy


def check_of(error: ExplainedError) -> str:
    """Return the check of ``dualface doctor`` that shows more about an error; "" if none does."""
    named = error.doctor_check if isinstance(error, DaemonError) else ""
    return named or (_CHECKS[error.component] if error.component else "")


def doctor_hint(check: str) -> str:
    """Return the last sentence of a remedy: the check that shows more."""
    return f"More: `dualface doctor --only {check}`."


def explained(error: ExplainedError) -> str:
    """Return what happened and what to do, for a terminal."""
    return f"{error.message} {remedy_of(error)}"


def log_fields(error: ExplainedError) -> dict[str, str]:
    """Return the fields by which a log line explains an error."""
    return {"code": error.code, "reason": error.message, "remedy": remedy_of(error)}
