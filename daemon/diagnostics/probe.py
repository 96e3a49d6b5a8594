"""What the hardware can do, what follows for the settings, and the file that keeps it.

The measurements come from a program of their own (``engines.measure``). The file ``auto_detected.yaml`` lies beside
the configuration: what people set there, or in the environment, wins over it; it wins over the defaults.
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
_CORES_PER_JOB = 4  # what decoding, composing and x264 take of a CPU
_SATURATED = 0.95  # of the fastest: more decoders, or larger batches, give no more than delay and memory
_SMALLEST_BATCH = 8
_STREAM_BYTES = 800 * 2**20  # about what a stream of 1080p takes on a GPU
_CONTEXT_BYTES = 1800 * 2**20
_HEAD = """\
# Found by `dualface probe --write`. Do not edit: what you set in the configuration beside this file wins over it.
# Remove it to return to the safe defaults; measure again after changes to the hardware or its driver.
"""


class NotKeptError(DaemonError):
    code = "PROBE_NOT_KEPT"
    remedy = "Run it as a user who may write there, or name another configuration with --config."
    environmental = True


@dataclass(frozen=True, slots=True)
class Proposal:
    """Settings that follow from the measurements, as a configuration writes them, each with its reason."""

    settings: dict[str, dict[str, Any]]
    reasons: dict[str, str]


def measure(device: DeviceSettings) -> dict[str, Any]:
    """What ``engines.measure.Measured`` holds.

    Raises:
        DaemonError: the device does not work, or the program that measures it died.
    """
    found: dict[str, Any] = ask("engines.measure", [device.backend, str(device.gpu)], timeout_s=_TIMEOUT_S)
    return found


def propose(measured: dict[str, Any], device: DeviceSettings) -> Proposal:
    """What to set on a machine with these measurements. Pure: the same measurements, the same settings."""
    on_gpu = measured["device"] != "cpu"
    jobs, why = _jobs(measured, device) if on_gpu else _cpu_jobs(measured)
    batch = saturating(measured["detect_fps"], least=_SMALLEST_BATCH)
    settings: dict[str, dict[str, Any]] = {
        "workers": {"concurrent_jobs": jobs},
        "device": {"max_batch": batch},
    }
    reasons = {
        "workers.concurrent_jobs": why,
        "device.max_batch": f"larger batches give the detector less than {1 - _SATURATED:.0%} more",
    }
    if on_gpu:
        settings["device"]["backend"] = "cuda"
        reasons["device.backend"] = f"{measured['device']} works; should it fail one day, jobs wait instead of crawling"
    nvenc = measured["nvenc"]
    if on_gpu and nvenc and nvenc["opened"]:
        settings["device"]["nvenc_max_sessions"] = nvenc["opened"]
        reasons["device.nvenc_max_sessions"] = "so many encoder sessions opened side by side"
    return Proposal(settings, reasons)


def _cpu_jobs(measured: dict[str, Any]) -> tuple[int, str]:
    return max(1, measured["cores"] // _CORES_PER_JOB), f"one for {_CORES_PER_JOB} of {measured['cores']} cores"


def _jobs(measured: dict[str, Any], device: DeviceSettings) -> tuple[int, str]:
    """The scarcest of decoders, memory and encoders says how many jobs the GPUs carry; one of them was measured."""
    used = _used(measured["gpus"], device)
    each = f", on each of {len(used)} GPUs" if len(used) > 1 else ""
    fitting = sum(_fitting(gpu, device.vram_guard) for gpu in used)
    limits = {
        len(used) * saturating(measured["decode_fps"]): f"so many decoders use a GPU's decoding to the full{each}",
        fitting: "so many streams of 1080p fit into the memory of the GPUs",
    }
    if measured["nvenc"] and measured["nvenc"]["opened"]:
        limits[len(used) * measured["nvenc"]["opened"]] = f"so many encoder sessions opened side by side{each}"
    else:
        jobs, why = _cpu_jobs(measured)
        limits[jobs] = f"the GPU has no encoder, and x264 takes {why}"
    fewest = min(limits)
    return max(1, fewest), limits[fewest]


def _used(gpus: list[dict[str, Any]], device: DeviceSettings) -> list[dict[str, Any]]:
    if device.index == "auto":
        return gpus
    numbers = device.index if isinstance(device.index, tuple) else (device.index,)
    return [gpu for number, gpu in enumerate(gpus) if number in numbers]


def _fitting(gpu: dict[str, Any], guard: float) -> int:
    free = guard * gpu["vram_total_bytes"] - gpu["vram_used_bytes"] - _CONTEXT_BYTES
    return max(1, int(free // _STREAM_BYTES))


def saturating(speeds: dict[str, float], least: int = 1) -> int:
    """The smallest count, ``least`` at least, whose speed is about the highest. JSON made the counts strings."""
    counted = {int(count): speed for count, speed in speeds.items()}
    enough = _SATURATED * max(counted.values())
    return min((count for count, speed in counted.items() if count >= least and speed >= enough), default=least)


def write(path: Path, proposal: Proposal, measured: dict[str, Any], command: list[str] | None = None) -> None:
    """Keep a proposal, with what it rests on, whole or not at all.

    Raises:
        NotKeptError: the folder cannot be written.
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
        raise NotKeptError(f"{path} cannot be written: {error.strerror}") from error
