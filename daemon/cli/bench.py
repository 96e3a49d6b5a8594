"""Comparison of `dualface process` with an ffmpeg command with fixed crops, as ratios of paired runs."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from daemon.errors import DaemonError

# For 1080p, crop=800:900:100:60 and crop=800:900:1020:60; for other sizes the same parts of the frame.
_CROP = "crop=iw*5/12:ih*5/6:{x}:ih/18,scale=960:1080"
STATIC_CROP = f"split[a][b];[a]{_CROP.format(x='iw*5/96')}[l];[b]{_CROP.format(x='iw*17/32')}[r];[l][r]hstack"
_POLL_S = 0.05


class BenchError(DaemonError):
    code = "BENCH_FAILED"
    remedy = "See the output of the command above. Try the command alone, or another recording."


@dataclass(frozen=True, slots=True)
class Run:
    """The measurement of one command: wall time, CPU time of all cores, and peak memory of the process tree."""

    wall_s: float
    cpu_s: float
    peak_bytes: int


def measure(command: list[str]) -> Run:
    """Run and measure a command.

    Raises:
        BenchError: the command failed.
    """
    begin, before = time.monotonic(), os.times()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        peak_bytes = _watch(process)
        if process.returncode != 0:
            output.seek(0)
            raise BenchError(f"{command[0]} failed: {output.read().decode(errors='replace')[-500:]}")
    after = os.times()
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return Run(time.monotonic() - begin, cpu_s, peak_bytes)


def _watch(process: subprocess.Popen[bytes]) -> int:
    """Wait for a process; return the peak resident memory of its process tree, in bytes."""
    peak_bytes = 0
    root = psutil.Process(process.pid)
    while process.poll() is None:
        peak_bytes = max(peak_bytes, _tree_bytes(root))
        time.sleep(_POLL_S)
    return peak_bytes


def _tree_bytes(root: psutil.Process) -> int:
    """Return the resident memory; shared pages count twice, as exact counting would slow down the measured process."""
    try:
        return sum(process.memory_info().rss for process in [root, *root.children(recursive=True)])
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0


def ffmpeg() -> str:
    """Return the path of ffmpeg.

    Raises:
        BenchError: it is not installed.
    """
    path = shutil.which("ffmpeg")
    if path is None:
        raise BenchError(
            "ffmpeg is not installed, so there is nothing to compare with.", remedy="Install it: apt-get install ffmpeg"
        )
    return path


def ffmpeg_command(source: Path, output: Path) -> list[str]:
    """Return the command to compare with: fixed crops, no detection, the same encoder settings."""
    return [
        ffmpeg(),
        "-nostdin",
        "-loglevel",
        "error",
        "-y",
        "-i",
        str(source),
        "-vf",
        STATIC_CROP,
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-crf",
        "20",
        "-profile:v",
        "high",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "copy",
        "-movflags",
        "+faststart",
        str(output),
    ]


def process_command(source: Path, output: Path) -> list[str]:
    """Return the command to measure: ``dualface process``."""
    return [sys.executable, "-m", "daemon", "process", str(source), "--output", str(output)]


def compare(source: Path, runs: int) -> list[tuple[Run, Run]]:
    """Run both commands alternately, ``runs`` times each; return pairs of (dualface, ffmpeg)."""
    pairs = []
    with tempfile.TemporaryDirectory(prefix="dualface-bench-") as name:
        scratch = Path(name)
        for number in range(runs):
            theirs = measure(ffmpeg_command(source, scratch / "ffmpeg.mp4"))
            ours = measure(process_command(source, scratch / f"ours-{number}"))
            pairs.append((ours, theirs))
    return pairs


def repeat(source: Path, output: Path, seconds: float) -> None:
    """Make a long recording by repeating a short one without encoding.

    Args:
        seconds: the length of the output.
    """
    command = [ffmpeg(), "-nostdin", "-loglevel", "error", "-y", "-stream_loop", "-1", "-i", str(source)]
    measure([*command, "-c", "copy", "-t", str(seconds), str(output)])


def table(title: str, pairs: list[tuple[Run, Run]]) -> str:
    """Return the medians of paired runs as a Markdown table."""

    def row(name: str, ours: list[float], theirs: list[float], unit: str) -> str:
        ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        return (
            f"| {name} | {statistics.median(ours):.1f} {unit} | {statistics.median(theirs):.1f} {unit} | {ratio:.2f} |"
        )

    mib = 1 / 2**20
    return "\n".join(
        [
            f"### {title} ({len(pairs)} pairs, medians)",
            "",
            "| | dualface process | ffmpeg static crop | ratio |",
            "|---|---|---|---|",
            row("wall", [a.wall_s for a, _ in pairs], [b.wall_s for _, b in pairs], "s"),
            row("CPU, all cores", [a.cpu_s for a, _ in pairs], [b.cpu_s for _, b in pairs], "s"),
            row(
                "peak memory",
                [a.peak_bytes * mib for a, _ in pairs],
                [b.peak_bytes * mib for _, b in pairs],
                "MiB",
            ),
            "",
        ]
    )


def memory_table(source: Path, lengths_s: list[float]) -> str:
    """Return the peak memory of ``dualface process`` for recordings of several lengths, as a Markdown table."""
    lines = ["### Memory over length", "", "| recording | peak memory | wall |", "|---|---|---|"]
    with tempfile.TemporaryDirectory(prefix="dualface-bench-") as name:
        for number, seconds in enumerate(lengths_s):
            recording = Path(name) / f"{number}{source.suffix}"
            repeat(source, recording, seconds)
            run = measure(process_command(recording, Path(name) / f"out-{number}"))
            lines.append(f"| {seconds / 60:g} min | {run.peak_bytes / 2**20:.0f} MiB | {run.wall_s:.0f} s |")
    return "\n".join([*lines, ""])
