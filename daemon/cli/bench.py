"""Comparison of `dualface process` with ffmpeg, as ratios of runs beside each other.

With a command with fixed crops, and with the least that any program needs for this result: decoding the recording, and
x264 on the frames that are encoded.
"""

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
from typing import Literal

import psutil

from daemon.errors import DaemonError

# For 1080p, crop=800:900:100:60 and crop=800:900:1020:60; for other sizes the same parts of the frame.
_CROP = "crop=iw*5/12:ih*5/6:{x}:ih/18,scale=960:1080"
STATIC_CROP = f"split[a][b];[a]{_CROP.format(x='iw*5/96')}[l];[b]{_CROP.format(x='iw*17/32')}[r];[l][r]hstack"
_X264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-profile:v", "high", "-pix_fmt", "yuv420p")
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
    """Return the command with fixed crops: no detection, the same encoder settings."""
    return [
        *_ffmpeg_reading(source),
        "-vf",
        STATIC_CROP,
        *_X264,
        "-c:a",
        "copy",
        "-movflags",
        "+faststart",
        str(output),
    ]


def encode_command(video: Path, output: Path) -> list[str]:
    """Return the command that decodes a video and encodes it with the settings of ``dualface process``."""
    return [*_ffmpeg_reading(video), "-an", *_X264, str(output)]


def decode_command(video: Path) -> list[str]:
    """Return the command that only decodes a video."""
    return [*_ffmpeg_reading(video), "-map", "0:v:0", "-f", "null", "-"]


def _ffmpeg_reading(source: Path) -> list[str]:
    return [ffmpeg(), "-nostdin", "-loglevel", "error", "-y", "-i", str(source)]


def process_command(source: Path, output: Path) -> list[str]:
    """Return the command to measure: ``dualface process``."""
    return [sys.executable, "-m", "daemon", "process", str(source), "--output", str(output)]


@dataclass(frozen=True, slots=True)
class Round:
    """One run of each command.

    Attributes:
        encode, decode_result: x264 on the frames of the result, which has to be decoded for that, and that alone.
        decode_source: decoding the recording.
    """

    ours: Run
    static_crop: Run
    encode: Run
    decode_result: Run
    decode_source: Run

    def least(self, field: Literal["wall_s", "cpu_s"]) -> float:
        """Return the seconds of decoding the recording and of x264 on the frames that are encoded."""
        seconds = [float(getattr(run, field)) for run in (self.decode_source, self.encode, self.decode_result)]
        return seconds[0] + seconds[1] - seconds[2]


def compare(source: Path, runs: int) -> list[Round]:
    """Run all commands in turn, ``runs`` times each."""
    rounds = []
    with tempfile.TemporaryDirectory(prefix="dualface-bench-") as name:
        scratch = Path(name)
        for number in range(runs):
            output = scratch / f"ours-{number}"
            static_crop = measure(ffmpeg_command(source, scratch / "ffmpeg.mp4"))
            ours = measure(process_command(source, output))
            (result,) = output.glob("*.dual.mp4")
            encode, decode_result = (
                measure(encode_command(result, scratch / "x264.mp4")),
                measure(decode_command(result)),
            )
            rounds.append(Round(ours, static_crop, encode, decode_result, measure(decode_command(source))))
    return rounds


def repeat(source: Path, output: Path, seconds: float) -> None:
    """Make a long recording by repeating a short one without encoding.

    Args:
        seconds: the length of the output.
    """
    command = [ffmpeg(), "-nostdin", "-loglevel", "error", "-y", "-stream_loop", "-1", "-i", str(source)]
    measure([*command, "-c", "copy", "-t", str(seconds), str(output)])


def table(title: str, rounds: list[Round]) -> str:
    """Return the medians of several rounds as a Markdown table."""

    def row(name: str, ours: list[float], theirs: list[list[float]], unit: str) -> str:
        ratios = [statistics.median(a / b for a, b in zip(ours, other, strict=True)) for other in theirs]
        compared = [
            f"{statistics.median(other):.1f} {unit} | {ratio:.2f}" for other, ratio in zip(theirs, ratios, strict=True)
        ]
        return f"| {name} | {statistics.median(ours):.1f} {unit} | {' | '.join(compared)} |"

    mib = 1 / 2**20
    peaks = [r.ours.peak_bytes * mib for r in rounds], [r.static_crop.peak_bytes * mib for r in rounds]
    return "\n".join(
        [
            f"### {title} ({len(rounds)} rounds, medians)",
            "",
            "| | dualface process | ffmpeg static crop | ratio | decode + x264 of the same frames | ratio |",
            "|---|---|---|---|---|---|",
            row("wall", *_seconds(rounds, "wall_s"), "s"),
            row("CPU, all cores", *_seconds(rounds, "cpu_s"), "s"),
            f"{row('peak memory', peaks[0], [peaks[1]], 'MiB')} | |",
            "",
        ]
    )


def _seconds(rounds: list[Round], field: Literal["wall_s", "cpu_s"]) -> tuple[list[float], list[list[float]]]:
    """Return our seconds, and those of what they are compared with."""
    ours = [float(getattr(r.ours, field)) for r in rounds]
    return ours, [[float(getattr(r.static_crop, field)) for r in rounds], [r.least(field) for r in rounds]]


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
