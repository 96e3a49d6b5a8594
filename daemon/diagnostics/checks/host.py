"""Checks of the machine: memory, clock, the service's unit."""

from __future__ import annotations

import ctypes
import time
from datetime import UTC, datetime

import psutil

from daemon.diagnostics.checks.context import Context
from daemon.diagnostics.framework import Finding, check, not_applicable, ok, warning
from daemon.jobs.job_spec import job_slots

_GIB = 2**30
_JOB_BYTES = 1.2 * _GIB  # the most that a job was seen to take
_SANE_YEARS = range(2024, 2100)
_UNSYNCHRONISED = 0x40  # STA_UNSYNC, adjtimex(2)
_STATUS_OFFSET = 40  # of timex.status on 64-bit machines: an int and four longs come before it
_TIMEX_BYTES = 512  # more than enough


@check("memory")
def memory(context: Context) -> Finding:
    """Jobs side by side must fit into memory, or the kernel ends one of them."""
    total, slots = psutil.virtual_memory().total, job_slots(context.settings)
    facts = {"total_bytes": total, "slots": slots}
    wanted = slots * _JOB_BYTES
    summary = f"{total / _GIB:.1f} GiB for {slots} job{'s' if slots > 1 else ''} at a time"
    if wanted > 0.85 * total:
        fitting = max(1, int(0.85 * total / _JOB_BYTES))
        return warning(
            f"{summary}, which may take {wanted / _GIB:.1f} GiB.", "Lower workers.concurrent_jobs.",
            settings={"workers.concurrent_jobs": fitting} if fitting < slots else {}, facts=facts,
        )  # fmt: skip
    return ok(f"{summary}.", facts=facts)


@check("clock")
def clock(_context: Context) -> Finding:
    """Times in reports and listings come from the clock; leases and settling do not depend on it."""
    now = datetime.now(UTC)
    synchronised = _is_synchronised()
    facts = {"now": now.isoformat(timespec="seconds"), "synchronised": synchronised}
    if now.year not in _SANE_YEARS:
        return warning(f"The clock says {now:%Y-%m-%d}.", "Set the clock: timedatectl set-ntp true", facts=facts)
    before, steady = time.time() - time.monotonic(), time.monotonic()
    time.sleep(0.05)
    if time.monotonic() <= steady or abs(time.time() - time.monotonic() - before) > 1:
        return warning("The clock jumps.", "See the machine's time service and its hypervisor.", facts=facts)
    if synchronised is False:
        return warning(
            f"{facts['now']}, but no time server steers it.", "Switch one on: timedatectl set-ntp true", facts=facts
        )
    return ok(f"{facts['now']}{', steered by a time server' if synchronised else ''}.", facts=facts)


def _is_synchronised() -> bool | None:
    """Whether a time server steers the kernel's clock; None where the kernel does not tell."""
    timex = ctypes.create_string_buffer(_TIMEX_BYTES)
    if ctypes.sizeof(ctypes.c_long) != 8 or ctypes.CDLL(None).adjtimex(timex) < 0:
        return None
    status = ctypes.c_int.from_buffer(timex, _STATUS_OFFSET).value
    return not status & _UNSYNCHRONISED


@check("service")
def service(context: Context) -> Finding:
    """systemd starts the service at boot and again when it fails."""
    unit = context.unit
    if not unit.load:
        return not_applicable("systemd does not run here: run the service with dualface run.")
    if not unit.installed:
        return not_applicable("The service is not installed: ./install.sh service")
    facts = {"active": unit.active, "sub": unit.sub, "enabled": unit.enabled, "restarts": unit.restarts}
    if unit.active == "failed":
        return warning(
            f"It has failed ({unit.result}).", "See why: journalctl -u dualface -n 30; then: systemctl start dualface",
            facts=facts,
        )  # fmt: skip
    if unit.active not in ("active", "activating"):
        return warning("It does not run.", "Start it: systemctl start dualface", facts=facts)
    if unit.enabled not in ("enabled", "static"):
        return warning("It runs, but not after the next boot.", "systemctl enable dualface", facts=facts)
    again = f"; it was started again {unit.restarts} times" if unit.restarts else ""
    return ok(f"It is {unit.active} ({unit.sub}) as user {unit.user}{again}.", facts=facts)
