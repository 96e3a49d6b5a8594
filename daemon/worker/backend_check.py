"""Opens the backend as a job would, to check that it works: in a worker at the service's start, or for ``doctor``.

As a program: ``python -m daemon.worker.backend_check DEVICE LIMITS``, both as JSON; without LIMITS there are none.
Each of several GPUs is opened by such a program of its own, since a process sees one GPU alone.
"""

from __future__ import annotations

import hashlib
import json
import sys
from contextlib import closing
from dataclasses import asdict
from typing import Any

from daemon.config.settings import WorkerLimits
from daemon.errors import ResourceLimitError
from daemon.worker import sandbox
from daemon.worker.protocol import GPU, BackendReady, CheckBackend
from daemon.worker.subprocess_call import AnsweredError, ChildFailedError, ask
from engines.cuda.encoding.sessions import probe_sessions
from engines.cuda.gpu_selection import named_gpus, see_only
from engines.errors import ExplainedError
from engines.json_answer import answer
from engines.nvenc_sessions import SessionProbe
from engines.settings import DeviceSettings

_TIMEOUT_S = 600.0  # for one GPU; workers.start_timeout_s ends all of it sooner


def check_backend(order: CheckBackend) -> BackendReady:
    """Set the limits, open the devices and load both models.

    Raises:
        EngineError: the backend does not work.
        Exception: what libraries raise when the limits leave them no room; see ``sandbox.memory_ran_out``.
    """
    sandbox.limit(order.limits, order.device.backend)
    return _open(order.device)


def _open(device: DeviceSettings) -> BackendReady:
    """Open all GPUs that the settings name. One that does not work is left out, as long as another does."""
    if isinstance(device.index, int):
        return _open_one(device)
    found: list[BackendReady] = []
    refused: list[ExplainedError] = []
    for index in named_gpus(device):
        try:
            found.append(_open_in_subprocess(device.on_gpu(index)))
        except (AnsweredError, ChildFailedError) as error:
            refused.append(error)
    if not found:
        raise refused[0]
    working = [ready for ready in found if ready.gpus] or found[:1]
    notes = [*(note for ready in found for note in ready.notes), *(error.message for error in refused)]
    gpus = tuple(gpu for ready in working for gpu in ready.gpus)
    devices = ", ".join(ready.device for ready in working)
    return BackendReady(devices, tuple(dict.fromkeys(notes)), gpus, working[0].compute_class)


def _open_in_subprocess(device: DeviceSettings) -> BackendReady:
    return BackendReady.from_json(ask("daemon.worker.backend_check", [device.model_dump_json()], timeout_s=_TIMEOUT_S))


def _open_one(device: DeviceSettings) -> BackendReady:
    from engines.registry import open_backend  # noqa: PLC0415 - the service itself must never load codecs

    seen = see_only(device)
    with closing(open_backend(seen)) as backend:
        backend.detector().close()
        backend.embedder().close()
        free_bytes = backend.free_bytes()
        compute_class = _class_name(backend.compute_class.to_json())
        if free_bytes is None:
            return BackendReady(backend.device, backend.notes, compute_class=compute_class)
        gpu = GPU(device.gpu, free_bytes, _encoder_sessions(seen), compute_class)
        return BackendReady(backend.device, backend.notes, (gpu,))


def _class_name(compute_class: dict[str, Any]) -> str:
    """Return a short name, such as "sm90-1f0c22ab": the hardware for people, and a hash of everything."""
    digest = hashlib.sha256(json.dumps(compute_class, sort_keys=True).encode()).hexdigest()
    return f"{compute_class['generation'] or compute_class['backend']}-{digest[:8]}"


def _encoder_sessions(device: DeviceSettings) -> SessionProbe | None:
    """Count the encoder sessions while no job holds any; None if the settings allow none."""
    return None if device.nvenc_max_sessions == 0 else probe_sessions(device.gpu)


def _check_or_name_limit(order: CheckBackend) -> BackendReady:
    try:
        return check_backend(order)
    except Exception as exc:
        if sandbox.memory_ran_out(exc):
            raise ResourceLimitError.of("address_space_bytes") from exc
        if isinstance(exc, ExplainedError):
            raise
        raise ResourceLimitError(f"The work cannot begin within workers.limits: {exc}") from exc


def main() -> None:
    device, limits = DeviceSettings.model_validate_json(sys.argv[1]), sys.argv[2:]
    if limits:
        order = CheckBackend(device, WorkerLimits.model_validate_json(limits[0]))
        answer(lambda: asdict(_check_or_name_limit(order)))
    else:
        answer(lambda: asdict(_open(device)))


if __name__ == "__main__":
    main()
