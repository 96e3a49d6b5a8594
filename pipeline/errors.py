"""Errors of one job."""

from __future__ import annotations

from engines.errors import Component, ExplainedError


class PipelineError(ExplainedError):
    """Base of all errors of one job, besides those of the engines."""


class JobStopped(PipelineError):
    """A stop was requested and the checkpoint is saved; the job goes on from there later."""

    code = "STOPPED"
    remedy = "Nothing to do: the job goes on when the service starts again."
    retryable = True
    environmental = True


class StartOverError(PipelineError):
    """The finished segments cannot be continued here: the job must start over."""

    remedy = "Nothing to do: the job starts over."
    retryable = True
    environmental = True


class ComputeClassChangedError(StartOverError):
    """The finished segments come from hardware or software that gives other packets."""

    code = "COMPUTE_CLASS_CHANGED"
    remedy = "Nothing to do: the job starts over."


class TooLargeError(PipelineError):
    code = "TOO_LARGE"
    remedy = "Export the recording at a smaller size, or raise limits.pixels in the configuration."


class TooLongError(PipelineError):
    code = "TOO_LONG"
    remedy = "Cut the recording into parts, or raise limits.duration_s in the configuration."


class DiskFullError(PipelineError):
    code = "DISK_FULL"
    remedy = "Free space on the share: the job goes on by itself."
    component = Component.DISK_SPACE
    retryable = True
    environmental = True


class StorageError(PipelineError):
    code = "STORAGE"
    remedy = "Check the share and its mount: the job goes on when it can be written again."
    component = Component.STORAGE
    retryable = True
    environmental = True
