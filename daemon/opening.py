"""Opens the backend as a job would, to see whether it works: in a worker at the service's start, or for ``doctor``.

As a program, ``python -m daemon.opening DEVICE LIMITS`` with both as JSON; without LIMITS there are none.
"""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import asdict

from daemon import confinement
from daemon.errors import ResourceLimitError
from daemon.messages import Check, Ready
from daemon.settings import WorkerLimits
from engines.child import answer
from engines.errors import ExplainedError
from engines.settings import DeviceSettings


def ready(order: Check) -> Ready:
    """Set the limits, open the device and load both models.

    Raises:
        EngineError: the backend does not work.
        Exception: what libraries raise when the limits leave them no room; see ``confinement.memory_ran_out``.
    """
    confinement.limit(order.limits, order.device.backend)
    return _opened(order.device)


def _opened(device: DeviceSettings) -> Ready:
    from engines.registry import open_backend  # noqa: PLC0415 - the service itself must never load codecs

    with closing(open_backend(device)) as backend:
        backend.detector().close()
        backend.embedder().close()
        return Ready(backend.device, backend.notes)


def _ready_or_limit(order: Check) -> Ready:
    try:
        return ready(order)
    except Exception as exc:
        if confinement.memory_ran_out(exc):
            raise ResourceLimitError.of("address_space_bytes") from exc
        if isinstance(exc, ExplainedError):
            raise
        raise ResourceLimitError(f"The work cannot begin within workers.limits: {exc}") from exc


def main() -> None:
    device, limits = DeviceSettings.model_validate_json(sys.argv[1]), sys.argv[2:]
    if limits:
        order = Check(device, WorkerLimits.model_validate_json(limits[0]))
        answer(lambda: asdict(_ready_or_limit(order)))
    else:
        answer(lambda: asdict(_opened(device)))


if __name__ == "__main__":
    main()
