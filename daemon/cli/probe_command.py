"""``dualface probe``: measures the hardware, proposes settings, and saves them on request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from daemon.cli.options import json_text
from daemon.config.loader import detected_path, load
from daemon.diagnostics import probe


def run(config: Path | None, *, write: bool, as_json: bool) -> None:
    """Measure the device of the configuration, and print or save the proposed settings.

    Raises:
        DaemonError: the device does not work, or the file cannot be written.
    """
    device = load(config).device
    measured = probe.measure(device)
    proposal = probe.propose(measured, device)
    if as_json:
        typer.echo(json_text({"measured": measured, "settings": proposal.settings, "reasons": proposal.reasons}))
    else:
        _show(measured, proposal)
    if write:
        path = detected_path(config)
        probe.write(path, proposal, measured)
        typer.echo(f"Saved in {path}. Your own settings take precedence.", err=as_json)
    elif not as_json:
        typer.echo("Save these settings with: dualface probe --write")


def _show(measured: dict[str, Any], proposal: probe.Proposal) -> None:
    console = Console(soft_wrap=True, highlight=False)
    for label, text in _lines(measured):
        console.print(f"{label:<10} {text}", markup=False)
    console.print()
    for section, values in proposal.settings.items():
        for key, value in values.items():
            name = f"{section}.{key}"
            console.print(f"{name}: {value}   ({proposal.reasons[name]})", markup=False)


def _lines(measured: dict[str, Any]) -> list[tuple[str, str]]:
    gib = 2**30
    gpus = [
        f"{gpu['name']}, compute capability {gpu['compute_capability']}, driver {gpu['driver']}, "
        f"{gpu['vram_used_bytes'] / gib:.1f} of {gpu['vram_total_bytes'] / gib:.1f} GiB in use"
        for gpu in measured["gpus"]
    ]
    sessions = _sessions(measured["nvenc"])
    return [
        ("host", f"{measured['cores']} cores, {measured['memory_bytes'] / gib:.1f} GiB"),
        *(("GPU", gpu) for gpu in gpus),
        ("device", measured["device"]),
        ("TensorRT", measured["tensorrt"] or "not installed"),
        *([("NVENC", sessions)] if sessions else []),
        ("decode", f"{measured['decoder']}: {_speeds(measured['decode_fps'], 'decoders')}"),
        ("detect", f"{measured['inference']}: {_speeds(measured['detect_fps'], 'a batch')}"),
        ("encode", f"{measured['encoder']}: {measured['encode_fps']:.0f} frames/s"),
        *(("note", note) for note in measured["notes"]),
    ]


def _sessions(nvenc: dict[str, Any] | None) -> str | None:
    if nvenc is None:
        return None
    ended = f", then: {nvenc['error']}" if nvenc["error"] else ""
    return f"{nvenc['opened']} sessions opened{ended}"


def _speeds(speeds: dict[str, float], counted: str) -> str:
    return ", ".join(f"{fps:.0f} frames/s ({count} {counted})" for count, fps in speeds.items())
