"""Errors of the service."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engines.errors import Component, ExplainedError


class DaemonError(ExplainedError):
    """Base class of the service's errors; those of the work on a job are in `pipeline.errors` and `engines.errors`.

    Attributes:
        doctor_check: which check of ``dualface doctor`` shows more; "" where none does.
    """

    doctor_check = ""

    def __init__(
        self,
        message: str,
        *,
        remedy: str | None = None,
        component: Component | None = None,
        doctor_check: str | None = None,
    ) -> None:
        super().__init__(message, remedy=remedy, component=component)
        if doctor_check is not None:
            self.doctor_check = doctor_check

    def to_json(self) -> dict[str, Any]:
        """Return the error as a helper program answers with it."""
        return {**super().to_json(), "doctor_check": self.doctor_check}


class ConfigError(DaemonError):
    code = "CONFIG_INVALID"
    remedy = "Correct the named keys; `dualface config schema` lists every key with its range."


class ShareAwayError(DaemonError):
    code = "SHARE_AWAY"
    remedy = "Check the mount of the share: the service goes on by itself when it is back."
    doctor_check = "share-there"
    retryable = True
    environmental = True


class StateRemovedError(ShareAwayError):
    """The state folder is missing from a share that is otherwise there."""

    remedy = (
        "Put the folder back from a snapshot, a backup or the recycle bin: recordings that are in work lie in it. "
        "To begin without them: systemctl restart dualface."
    )


class ShareReplacedError(DaemonError):
    code = "SHARE_REPLACED"
    remedy = "Nothing to do if this was intended: the service starts again on the new share."
    doctor_check = "share-there"
    environmental = True


class ShareUnusableError(DaemonError):
    code = "SHARE_UNUSABLE"
    remedy = "Give the service's user write permission on the share's folders."
    doctor_check = "share-permissions"
    retryable = True
    environmental = True


class BackendUnusableError(DaemonError):
    code = "BACKEND_UNUSABLE"
    remedy = "Install or repair the part of the device's software that is named."
    doctor_check = "backend"
    retryable = True
    environmental = True


class ClusterUnreachableError(DaemonError):
    code = "CLUSTER_UNREACHABLE"
    remedy = "Start the head (`dualface cluster start`) and this host's node (`dualface node`), then the service."
    doctor_check = "cluster"
    retryable = True
    environmental = True


class NodeLostError(DaemonError):
    code = "NODE_LOST"
    remedy = "Nothing to do: the file goes on at another node, or here when the node is back."
    doctor_check = "cluster"
    retryable = True
    environmental = True


class NoNodeOfClassError(DaemonError):
    code = "NO_NODE_OF_CLASS"
    remedy = "Start such a node again, or wait: the file then starts anew on another (cluster.class_wait_s)."
    doctor_check = "cluster"
    retryable = True
    environmental = True


class WorkerDiedError(DaemonError):
    code = "WORKER_DIED"
    remedy = "The file made the program crash each time. Export it again; if that fails too, report it."
    retryable = True


class OutOfMemoryError(DaemonError):
    """No memory was left; a library in C++ ends the process in that case."""

    code = "OUT_OF_MEMORY"
    remedy = "Try again with fewer jobs at once (workers.concurrent_jobs), or export the recording smaller."
    retryable = True


class WorkerStalledError(DaemonError):
    code = "WORKER_STALLED"
    remedy = "The work on this file stood still each time. Export it again; if that fails too, report it."
    retryable = True


class LeaseLostError(DaemonError):
    code = "LEASE_LOST"
    remedy = "Nothing to do: another host has taken the job over."
    retryable = True
    environmental = True


class JobBusyError(DaemonError):
    code = "JOB_BUSY"
    remedy = "Nothing to do: the job goes on when the other process has ended."
    retryable = True
    environmental = True


class SidecarUnclearError(DaemonError):
    code = "SIDECAR_UNCLEAR"
    remedy = "Leave one of them beside the recording; then the recording is taken."


class FileUnreadableError(DaemonError):
    code = "FILE_UNREADABLE"
    remedy = "Give the service's group read permission for the file; then the file is taken by itself."
    doctor_check = "share-permissions"
    retryable = True
    environmental = True


class FolderReadOnlyError(DaemonError):
    code = "FOLDER_READ_ONLY"
    remedy = "Give the service's group write permission for the folder; then the file is taken by itself."
    doctor_check = "share-permissions"
    retryable = True
    environmental = True


class MoveRefusedError(DaemonError):
    code = "MOVE_REFUSED"
    remedy = (
        "Take the folder's sticky bit away (chmod -t) or what else protects it, or put the file into another folder: "
        "it is tried again about every minute."
    )
    doctor_check = "share-rename"
    retryable = True
    environmental = True


class OtherFileSystemError(DaemonError):
    code = "OTHER_FILE_SYSTEM"
    remedy = "Put the file into a folder of the share itself, not into one that is mounted there or has its own quota."
    doctor_check = "share-one-file-system"
    retryable = True
    environmental = True


class SplitShareError(DaemonError):
    code = "SHARE_SPLIT"
    remedy = "Put all folders of the share on one mount of one file system."
    doctor_check = "share-one-file-system"
    retryable = True
    environmental = True

    @classmethod
    def of(cls, folders: Iterable[str]) -> SplitShareError:
        """Return the error for folders that files cannot be moved to, each with the system's reason."""
        return cls(f"Files cannot be renamed from the state folder to {', '.join(folders)}.")


class SourceGoneError(DaemonError):
    code = "SOURCE_GONE"
    remedy = "Somebody removed the file while it was worked on. Drop it again."


class JobRemovedError(DaemonError):
    code = "JOB_REMOVED"
    remedy = "Somebody removed the job's directory, and the recording in it. Put it back, or drop the recording again."


class ResourceLimitError(DaemonError):
    code = "RESOURCE_LIMIT"
    remedy = "Cut the recording into parts or export it smaller, or raise the named limit in the configuration."

    @classmethod
    def of(cls, limit: str) -> ResourceLimitError:
        """Return the error for the limit of that name in ``workers.limits``."""
        return cls(f"The work on this file went beyond workers.limits.{limit}.")


class ManifestLostError(DaemonError):
    code = "RECORD_LOST"
    remedy = "The file itself is complete. Give it its name back and drop it again."


class ProfileGoneError(DaemonError):
    code = "PROFILE_GONE"
    remedy = "Add the profile to the configuration again and restart the service."
    retryable = True
    environmental = True


class InvalidOutputError(DaemonError):
    code = "INVALID_OUTPUT"
    remedy = "The work ended without all of its files. Retry the file; if it fails again, report it."
    retryable = True
