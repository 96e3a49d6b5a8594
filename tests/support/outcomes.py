"""How a job over a file ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def outcome(path: Path, work: str, most_mib: int) -> str:
    """The name of the error that the work ends with, in a process whose memory it may make grow by so much."""
    script = f"""
from pathlib import Path
from engines.cpu.decode import PyAvDecoder
from engines.media.probe import probe

def peak_kib():  # ru_maxrss would begin with the peak of the process that started this one
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))

path, before = Path({str(path)!r}), peak_kib()
try:
    {work}
except Exception as error:
    print(type(error).__name__, peak_kib() - before)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    error, grown_kib = done.stdout.split()
    assert int(grown_kib) < most_mib * 1024, f"{int(grown_kib) // 1024} MiB"
    return error
