"""Masses of files dropped at once, into the real service: ``python -m tests.bench.many_files --files 20000``.

Measures the time until all of them are queued, what the service takes of memory and CPU while it goes on watching
them, and in which order it starts on them. Nothing is decoded: the files hold a few bytes, and each is refused.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.support.service import Service

_FOLDERS = 20  # in each inbox
_WATCHED_S = 10.0
_STARTED = 12  # jobs of which the order is looked at
_SECTIONS: dict[str, dict[str, Any]] = {
    "settle": {"local_s": 5.0, "polls": 3},
    "scan": {"min_interval_s": 1.0, "max_interval_s": 15.0, "empty_after_s": 600},
    "status": {"interval_s": 1.0},
    "device": {"backend": "cpu"},
}


@dataclass(slots=True)
class Measured:
    """One run. Memory is the service's resident set, in MB (10^6 bytes).

    Attributes:
        dropping_s: what it took to make the files, while the service ran.
        queued_s: from the last file until all were queued; the quiet time is part of it.
        idle_cpu: CPU time of the service per second while the files lie there.
        order: the first jobs by their files' numbers: a higher one is older, and its remainder by the number of
            inboxes tells the inbox.
    """

    files: int
    inboxes: int
    dropping_s: float
    queued_s: float
    before_mb: float
    queued_mb: float
    watched_mb: list[float]
    cpu_s: float
    idle_cpu: float
    order: list[int]

    @property
    def grown_mb(self) -> float:
        return max(self.queued_mb, *self.watched_mb) - self.before_mb


def measure(
    folder: Path, files: int, inboxes: int, *, watched_s: float = _WATCHED_S, started: int = _STARTED, **sections: Any
) -> Measured:
    """Drop files into a paused service, look at it for a while, then let it begin."""
    names = [f"inbox{number}" for number in range(inboxes)]
    given = {name: {**_SECTIONS.get(name, {}), **sections.get(name, {})} for name in {*_SECTIONS, *sections}}
    service = Service(folder, **given, inboxes=[{"path": name} for name in names])
    (service.root / "PAUSE").touch()
    service.start()
    try:
        return _measure(service, names, files, watched_s, started)
    finally:
        service.close()


def _measure(service: Service, names: list[str], files: int, watched_s: float, started: int) -> Measured:
    assert service.process is not None
    process = psutil.Process(service.process.pid)
    before_mb, begin = _mb(process), time.monotonic()
    _drop(service.root, names, files)
    dropped = time.monotonic()
    service.wait_for(lambda: service.status().get("queued") == files, "all files", timeout_s=300)
    queued, queued_mb, cpu_s = time.monotonic(), _mb(process), _cpu_s(process)
    watched = list(_watch(process, watched_s))
    idle_cpu = (_cpu_s(process) - cpu_s) / (time.monotonic() - queued)
    (service.root / "PAUSE").unlink()
    service.wait_for(lambda: len(service.events("job claimed")) >= started, "the first jobs", timeout_s=300)
    return Measured(
        files, len(names), dropped - begin, queued - dropped, before_mb, queued_mb, watched, cpu_s, idle_cpu,
        [int(Path(line["file"]).stem) for line in service.events("job claimed")[:started]],
    )  # fmt: skip


def _drop(root: Path, names: list[str], files: int) -> None:
    """Files whose age is the reverse of their order by name, in several folders."""
    now = time.time()
    for number in range(files):
        path = root / names[number % len(names)] / str(number % _FOLDERS) / f"{number:06d}.mp4"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"no recording")
        os.utime(path, (now - number, now - number))


def _watch(process: psutil.Process, longest_s: float) -> Iterator[float]:
    begin = time.monotonic()
    while time.monotonic() - begin < longest_s:
        time.sleep(longest_s / 5)
        yield _mb(process)


def _mb(process: psutil.Process) -> float:
    return round(process.memory_info().rss / 1e6, 1)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return round(times.user + times.system, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--inboxes", type=int, default=2)
    parser.add_argument("--directory", type=Path, help="on the file system to be measured")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as folder:
        found = measure(Path(folder), arguments.files, arguments.inboxes)
    json.dump(asdict(found), sys.stdout, indent=1)
    sys.stdout.write(f"\n{found.grown_mb:.1f} MB more than before\n")


if __name__ == "__main__":
    main()
