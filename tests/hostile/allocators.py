"""Allocators that end the process when the heap is used wrongly, so that corruption cannot pass as luck."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from shutil import which

_CHOSEN = "HOSTILE_ALLOCATOR"


def checking_allocators() -> dict[str, dict[str, str]]:
    """The environments in which a process runs checked, by name: glibc's; with a C compiler, AddressSanitizer's."""
    glibc = {"LD_PRELOAD": "libc_malloc_debug.so.0", "MALLOC_CHECK_": "3", "MALLOC_PERTURB_": "165"}
    asan = _library_of_compiler("libasan.so")
    options = "detect_leaks=0:abort_on_error=1:handle_segv=0"
    return {"glibc": glibc} | ({"asan": {"LD_PRELOAD": asan, "ASAN_OPTIONS": options}} if asan else {})


def begin_again_checked(allocator: str) -> None:
    """Replace this process by one of the same command under a checking allocator, which its children inherit."""
    if os.environ.get(_CHOSEN) != allocator:
        environment = os.environ | checking_allocators()[allocator] | {_CHOSEN: allocator}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def run_checked(arguments: Sequence[str], allocator: str, timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments under one of them; a corrupted heap ends it with SIGABRT."""
    environment = os.environ | checking_allocators()[allocator]
    command = [sys.executable, "-X", "faulthandler", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False)


def _library_of_compiler(name: str) -> str | None:
    """The path of a library that comes with the C compiler."""
    if which("cc") is None:
        return None
    path = subprocess.run(["cc", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
    return str(Path(path).resolve()) if Path(path).is_absolute() else None
