"""``dualface probe``: measurements of the hardware, the settings derived from them, and their file.

A separate program measures (``engines.measure``). The file ``auto_detected.yaml`` is beside the configuration. It takes
precedence over the defaults; the configuration and the environment take precedence over it.
"""

from __future__ import annotations

import os
import shlex
import socket
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from daemon.config.sources import PROVENANCE, SETTINGS
from daemon.errors import DaemonError
from daemon.worker.subprocess_call import ask
from engines.files import replace_file
from engines.settings import DeviceSettings

_TIMEOUT_S = 300.0
_CORES_PER_JOB = 4  # for decoding, composing and x264
_SATURATED = 0.95  # of the highest speed; more decoders or larger batches only cost memory and latency
_SMALLEST_BATCH = 8
_STREAM_BYTES = 800 * 2**20  # GPU memory for a stream of 1080p, approximately
_CONTEXT_BYTES = 1800 * 2**20
_HEAD = """\
# Written by `dualface probe --write`. Do not edit it: the configuration beside it takes precedence.
# Remove it to return to the safe defaults; measure again after changes to the hardware or its driver.
"""


class ProbeNotSavedError(DaemonError):
    code = "PROBE_NOT_KEPT"
    remedy = "Run it as a user with write permission there, or name another configuration with --config."
    environmental = True


@dataclass(frozen=True, slots=True)
class Proposal:
    """Proposed settings by section and key, and the reason of each by its dotted key."""

    settings: dict[str, dict[str, Any]]
    reasons: dict[str, str]


def measure(device: DeviceSettings) -> dict[str, Any]:
    """Measure the device; return the fields of ``engines.measure.Measured``.

    Raises:
        DaemonError: the device does not work, or the program that measures it died.
    """
    found: dict[str, Any] = ask("engines.measure", [device.backend, str(device.gpu)], timeout_s=_TIMEOUT_S)
    return found


def propose(measured: dict[str, Any], device: DeviceSettings) -> Proposal:
    """Derive settings from measurements. The result depends on the arguments only."""
    on_gpu = measured["device"] != "cpu"
    jobs, why = _jobs(measured, device) if on_gpu else _cpu_jobs(measured)
    batch = saturating(measured["detect_fps"], least=_SMALLEST_BATCH)
    settings: dict[str, dict[str, Any]] = {
        "workers": {"concurrent_jobs": jobs},
        "device": {"max_batch": batch},
    }
    reasons = {
        "workers.concurrent_jobs": why,
        "device.max_batch": f"larger batches make the detector less than {1 - _SATURATED:.0%} faster",
    }
    if on_gpu:
        settings["device"]["backend"] = "cuda"
        reasons["device.backend"] = f"{measured['device']} works; if it fails later, jobs wait instead of using the CPU"
    nvenc = measured["nvenc"]
    if on_gpu and nvenc and nvenc["opened"]:
        settings["device"]["nvenc_max_sessions"] = nvenc["opened"]
        reasons["device.nvenc_max_sessions"] = "the number of encoder sessions that opened at the same time"
    return Proposal(settings, reasons)


def _cpu_jobs(measured: dict[str, Any]) -> tuple[int, str]:
    return max(1, measured["cores"] // _CORES_PER_JOB), f"one for {_CORES_PER_JOB} of {measured['cores']} cores"


def _jobs(measured: dict[str, Any], device: DeviceSettings) -> tuple[int, str]:
    """Return how many jobs decoders, memory and encoders of the GPUs permit; one GPU was measured."""
    used = _used(measured["gpus"], device)
    each = f", on each of {len(used)} GPUs" if len(used) > 1 else ""
    fitting = sum(_fitting(gpu, device.vram_guard) for gpu in used)
    limits = {
        len(used) * saturating(measured["decode_fps"]): f"this number of decoders saturates the GPU{each}",
        fitting: "this number of 1080p streams fits into the memory of the GPUs",
    }
    if measured["nvenc"] and measured["nvenc"]["opened"]:
        limits[len(used) * measured["nvenc"]["opened"]] = (
            f"this number of encoder sessions opened at the same time{each}"
        )
    else:
        jobs, why = _cpu_jobs(measured)
        limits[jobs] = f"the GPU has no encoder; for x264, {why}"
    fewest = min(limits)
    return max(1, fewest), limits[fewest]


def _used(gpus: list[dict[str, Any]], device: DeviceSettings) -> list[dict[str, Any]]:
    return [gpu for number, gpu in enumerate(gpus) if number in device.gpus] if device.gpus else gpus


def _fitting(gpu: dict[str, Any], guard: float) -> int:
    free = guard * gpu["vram_total_bytes"] - gpu["vram_used_bytes"] - _CONTEXT_BYTES
    return max(1, int(free // _STREAM_BYTES))


def saturating(speeds: dict[str, float], least: int = 1) -> int:
    """Return the smallest count that is nearly as fast as the fastest.

    Args:
        speeds: frames per second by count; the counts are strings, as in JSON.
        least: the smallest permitted count.
    """
    counted = {int(count): speed for count, speed in speeds.items()}
    enough = _SATURATED * max(counted.values())
    return min((count for count, speed in counted.items() if count >= least and speed >= enough), default=least)


def write(path: Path, proposal: Proposal, measured: dict[str, Any], command: list[str] | None = None) -> None:
    """Save a proposal atomically, with its measurements.

    Raises:
        ProbeNotSavedError: the folder cannot be written.
    """
    provenance = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": socket.gethostname(),
        "command": shlex.join(command or [Path(sys.argv[0]).name, *sys.argv[1:]]),
        "device": measured["device"],
        "driver": next((gpu["driver"] for gpu in measured["gpus"]), None),
        "reasons": proposal.reasons,
        "measured": measured,
    }
    text = _HEAD + yaml.safe_dump({SETTINGS: proposal.settings, PROVENANCE: provenance}, sort_keys=False, width=110)
    try:
        replace_file(path, text.encode(), writer=str(os.getpid()), durable=True, mode=0o644)
    except OSError as error:
        raise ProbeNotSavedError(f"{path} cannot be written: {error.strerror}") from error
