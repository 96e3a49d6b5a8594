"""Checks of the machine: memory, clock, systemd unit."""

from __future__ import annotations

import ctypes
import time
from datetime import UTC, datetime

import psutil

from daemon.diagnostics.checks.context import Context
from daemon.diagnostics.framework import Finding, check, not_applicable, ok, warning
from daemon.executor.places import job_slots

_GIB = 2**30
_JOB_BYTES = 1.2 * _GIB  # the highest measured use of a job
_SANE_YEARS = range(2024, 2100)
_UNSYNCHRONISED = 0x40  # STA_UNSYNC, adjtimex(2)
_STATUS_OFFSET = 40  # of timex.status on 64-bit machines: an int and four longs come before it
_TIMEX_BYTES = 512  # more than enough


@check("memory")
def memory(context: Context) -> Finding:
    """The jobs that run at the same time must fit into memory; otherwise the kernel kills one."""
    total, slots = psutil.virtual_memory().total, job_slots(context.settings)
    facts = {"total_bytes": total, "slots": slots}
    wanted = slots * _JOB_BYTES
    summary = f"{total / _GIB:.1f} GiB for {slots} job{'s' if slots > 1 else ''} at a time"
    if wanted > 0.85 * total:
        fitting = max(1, int(0.85 * total / _JOB_BYTES))
        return warning(
            f"{summary}, which may need {wanted / _GIB:.1f} GiB.", "Lower workers.concurrent_jobs.",
            settings={"workers.concurrent_jobs": fitting} if fitting < slots else {}, facts=facts,
        )  # fmt: skip
    return ok(f"{summary}.", facts=facts)


@check("clock")
def clock(_context: Context) -> Finding:
    """Times in reports and file lists come from the clock; leases and settling do not depend on it."""
    now = datetime.now(UTC)
    synchronised = _is_synchronised()
    facts = {"now": now.isoformat(timespec="seconds"), "synchronised": synchronised}
    if now.year not in _SANE_YEARS:
        return warning(f"The clock shows {now:%Y-%m-%d}.", "Set the clock: timedatectl set-ntp true", facts=facts)
    before, steady = time.time() - time.monotonic(), time.monotonic()
    time.sleep(0.05)
    if time.monotonic() <= steady or abs(time.time() - time.monotonic() - before) > 1:
        return warning("The clock jumps.", "Check the time service and the hypervisor of the machine.", facts=facts)
    if synchronised is False:
        return warning(
            f"{facts['now']}, but it is not synchronised.",
            "Enable it: timedatectl set-ntp true",
            facts=facts,
        )
    return ok(f"{facts['now']}{', synchronised with a time server' if synchronised else ''}.", facts=facts)


def _is_synchronised() -> bool | None:
    """Return whether the clock is synchronised with a time server; None if the kernel does not support the question."""
    timex = ctypes.create_string_buffer(_TIMEX_BYTES)
    if ctypes.sizeof(ctypes.c_long) != 8 or ctypes.CDLL(None).adjtimex(timex) < 0:
        return None
    status = ctypes.c_int.from_buffer(timex, _STATUS_OFFSET).value
    return not status & _UNSYNCHRONISED


@check("service")
def service(context: Context) -> Finding:
    """systemd starts the service at boot, and restarts it after a failure."""
    unit = context.unit
    if not unit.load:
        return not_applicable("systemd does not run here: run the service with dualface run.")
    if not unit.installed:
        return not_applicable("The service is not installed: ./install.sh service")
    facts = {"active": unit.active, "sub": unit.sub, "enabled": unit.enabled, "restarts": unit.restarts}
    if unit.active == "failed":
        return warning(
            f"It has failed ({unit.result}).", "See why: journalctl -u dualface -n 30. Then: systemctl start dualface",
            facts=facts,
        )  # fmt: skip
    if unit.active not in ("active", "activating"):
        return warning("It does not run.", "Start it: systemctl start dualface", facts=facts)
    if unit.enabled not in ("enabled", "static"):
        return warning("It runs, but does not start at boot.", "Enable it: systemctl enable dualface", facts=facts)
    again = f"; it was restarted {unit.restarts} times" if unit.restarts else ""
    return ok(f"It is {unit.active} ({unit.sub}) as user {unit.user}{again}.", facts=facts)
