"""Confines a worker process, which opens files of unknown origin with large libraries in C.

The limits are those of setrlimit(2), so they bind codecs as well. A network namespace of its own takes the network
from the worker. That needs a privilege that the service does not have under systemd; there a filter of system calls
(``seccomp``) does the same.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from pathlib import Path

import structlog

from daemon.config.settings import WorkerLimits
from daemon.worker import seccomp
from engines.errors import causes

ORPHANED = 70  # exit status of a process whose service has ended

_PR_SET_PDEATHSIG = 1
_CLONE_NEWNET = 0x40000000
_NEAR_LIMIT = 0.9
_CPU_GRACE_S = 10  # between SIGXCPU, which names the reason, and SIGKILL
_GPU = Path("/dev/nvidiactl")

log = structlog.get_logger(__name__)


def die_with(parent: int) -> None:
    """Ask the kernel to kill this process with its parent, so that a job never has two writers."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(ORPHANED)


def leave_network() -> None:
    """Take the network from this process: by a namespace without interfaces, or by a filter that leaves local sockets.

    Running threads keep the network, so this is called before any starts.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) == 0:
        return
    try:
        seccomp.only_local_sockets()
    except OSError as error:
        log.warning("worker shares the network", reason=str(error))


def limit(limits: WorkerLimits, backend: str) -> None:
    """Set the limits of this process and of its threads.

    Args:
        backend: ``device.backend``. If it may use a GPU, the address space is not limited, since CUDA reserves far
            more of it than it uses.
    """
    _lower(resource.RLIMIT_CORE, 0)  # a core dump contains the recording
    _lower(resource.RLIMIT_CPU, limits.cpu_s, grace=_CPU_GRACE_S)
    _lower(resource.RLIMIT_FSIZE, limits.file_bytes)
    _lower(resource.RLIMIT_NOFILE, limits.open_files)
    if limits.address_space_bytes and not uses_gpu(backend):
        _lower(resource.RLIMIT_AS, limits.address_space_bytes)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it, and the write would look like a full disk


def uses_gpu(backend: str) -> bool:
    """Whether the work may go to a GPU."""
    return backend == "cuda" or (backend == "auto" and _GPU.exists())


def memory_ran_out(error: BaseException) -> bool:
    """Whether an error is due to the limit of the address space.

    Libraries in C rarely report that, so a peak near the limit is enough.
    """
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY:
        return False
    return _peak_bytes() > _NEAR_LIMIT * most or any(isinstance(cause, MemoryError) for cause in causes(error))


def _peak_bytes() -> int:
    """Return the largest address space that this process has had, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmPeak:"))


def _lower(kind: int, value: int, *, grace: int = 0) -> None:
    """Lower a limit irrevocably; a lower one stays. ``grace`` is the distance from the soft to the hard limit."""
    _, hard = resource.getrlimit(kind)
    final = value + grace if hard == resource.RLIM_INFINITY else min(value + grace, hard)
    resource.setrlimit(kind, (min(value, final), final))
