"""Many hosts, one share: three services, hundreds of files, and one service that is killed while it works.

    python -m tests.faults.hosts --files 300

Each file must be delivered once, whoever dies; what the dead host had begun goes on from its checkpoint elsewhere.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import av
import psutil

from tests.faults.preload import wait_until
from tests.faults.setting import suspend
from tests.support.recordings import write_recording
from tests.support.service import Service, outputs

NAMES = ("alpha", "beta", "gamma")
_SECTIONS: dict[str, dict[str, Any]] = {
    "profiles": {"default": {"preset": "ultrafast", "crf": 40}},
    "device": {"backend": "cpu"},
    "status": {"interval_s": 1},
}
_LEASES = {"renew_s": 1, "expire_s": 10}
_LONG_EVERY = 10  # one file in so many has several segments, so that there is something to go on from
_FPS = 8


class Fleet:
    """The services, the share, and the files that were dropped."""

    def __init__(self, folder: Path, files: int) -> None:
        self.share = folder / "share"
        self.share.mkdir()
        self.services = [self._service(folder / name) for name in NAMES]
        self.dropped = self._drop(folder, files)

    def _service(self, folder: Path) -> Service:
        folder.mkdir()
        return Service(folder, root=self.share, leases={**_LEASES, "host": folder.name}, **_SECTIONS)

    def _drop(self, folder: Path, files: int) -> dict[str, str]:
        """Put the files into the inbox; returns their SHA-256 by name."""
        short = write_recording(folder / "short.mp4", seconds=0.5, fps=_FPS, size=(160, 120)).read_bytes()
        long = write_recording(folder / "long.mp4", seconds=4, fps=_FPS, size=(160, 120)).read_bytes()
        names = [f"{number:03}{'-long' if number % _LONG_EVERY == 3 else ''}.mp4" for number in range(files)]
        contents = {name: ended(long if "long" in name else short, name) for name in names}
        for name, content in contents.items():
            self.services[0].inbox(name).write_bytes(content)
        return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}

    # -- watching

    def originals(self) -> int:
        return len(list((self.share / "originals").glob("*.mp4")))

    def half_done(self, host: str) -> Path | None:
        """The directory of a job of this host that has a checkpoint, and frames still to render."""
        for checkpoint in self.share.glob(".dualface/jobs/*/checkpoint.json"):
            try:
                lease = json.loads((checkpoint.parent / "lease.json").read_bytes())
                complete = json.loads(checkpoint.read_bytes())["body"]["complete"]
            except FileNotFoundError:
                continue
            if lease["host"] == host and not complete:
                return checkpoint.parent
        return None

    def delivered(self) -> Counter[str]:
        return Counter(line["file"] for service in self.services for line in service.events("job delivered"))

    # -- judging

    def wrongs(self) -> list[str]:
        """Whatever is not as it must be; the services have ended."""
        share, names = self.services[0], set(self.dropped)
        expected = {path for name in names for path in outputs(Path(name).stem)}
        wrongs = [f"outbox: {sorted(share.files('outbox') ^ expected)[:9]}"] * (share.files("outbox") != expected)
        wrongs += [f"left in {folder}" for folder in ("inbox", "failed") if share.files(folder)]
        wrongs += ["jobs are left"] * bool(share.jobs())
        wrongs += [f"{name} was delivered {n} times" for name, n in self.delivered().items() if n > 1]
        wrongs += [f"{path.name} has changed" for path in (self.share / "originals").iterdir() if self._changed(path)]
        wrongs += [f"{name} was lost" for name in sorted(names - share.files("originals"))]
        return wrongs + [f"{name}: {why}" for name in sorted(names) if (why := self._incomplete(name))]

    def _changed(self, path: Path) -> bool:
        return hashlib.sha256(path.read_bytes()).hexdigest() != self.dropped.get(path.name)

    def _incomplete(self, name: str) -> str:
        path = self.share / "outbox" / f"{Path(name).stem}.dual.mp4"
        with av.open(str(path)) as video:
            frames = sum(1 for _ in video.decode(video=0))
        wanted = _FPS * 4 if "long" in name else _FPS // 2
        return "" if frames == wanted else f"{frames} of {wanted} frames"


def ended(content: bytes, name: str) -> bytes:
    """A recording with an end of its own (an MP4 box that nobody reads), so that no job builds on another's state."""
    free = name.encode().ljust(32)
    return content + (8 + len(free)).to_bytes(4, "big") + b"free" + free


def kill_at_work(fleet: Fleet, victim: Service, after: int, timeout_s: float) -> Path:
    """Kill a service in the middle of a job that has a checkpoint; returns the job's directory."""
    wait_until(lambda: fleet.originals() >= after, f"{after} deliveries", timeout_s)
    assert victim.process is not None
    while True:
        wait_until(lambda: fleet.half_done(victim.folder.name), "a checkpoint of the victim", timeout_s)
        asleep = suspend(victim.process.pid)  # so that it does not get any further before it dies
        job = fleet.half_done(victim.folder.name)
        if job is not None:
            victim.kill()
            psutil.wait_procs(asleep, timeout=10)
            return job
        for process in asleep:
            process.resume()


def run(folder: Path, files: int, timeout_s: float) -> list[str]:
    """Drop the files, run the three services, kill one, and judge; returns what is wrong."""
    fleet = Fleet(folder, files)
    with ExitStack() as stack:
        for service in fleet.services:
            stack.enter_context(closing(service)).start()
        begun = time.monotonic()
        victim, *others = fleet.services
        job = kill_at_work(fleet, victim, files // 5, timeout_s)
        killed = time.monotonic()
        _say(f"{victim.folder.name} killed at job {job.name}, {fleet.originals()} of {files} delivered")
        taken = "job taken over from another host"
        wait_until(lambda: any(s.events(taken) for s in others), "the takeover", timeout_s)
        _say(f"taken over after {time.monotonic() - killed:.1f} s (leases.expire_s is {_LEASES['expire_s']})")
        wait_until(lambda: fleet.originals() == files and not victim.jobs(), "all files", timeout_s)
        took_s = time.monotonic() - begun
        statuses = [service.stop() for service in others]
        wrongs = fleet.wrongs() + [f"a service ended with status {status}" for status in statuses if status]
        _tell(fleet, took_s)
        return wrongs + _not_resumed(fleet, job.name)


def _not_resumed(fleet: Fleet, job: str) -> list[str]:
    """The victim's job must have gone on from its checkpoint, on another host."""
    reports = (json.loads(path.read_bytes()) for path in (fleet.share / "outbox").glob("*.report.json"))
    report = next(report for report in reports if report["job"] == job)
    if report["host"] == fleet.services[0].folder.name or not report["resilience"]["resumed_at_s"]:
        return [f"the victim's job started over: {report['host']}, {report['resilience']}"]
    _say(f"the victim's job went on at {report['resilience']['resumed_at_s']} s on {report['host']}")
    return []


def _tell(fleet: Fleet, took_s: float) -> None:
    each = {service.folder.name: len(service.events("job delivered")) for service in fleet.services}
    _say(f"{sum(each.values())} of {len(fleet.dropped)} files in {took_s:.0f} s, by host: {each}")
    waits = Counter(line["code"] for service in fleet.services for line in service.events("job waits"))
    _say(f"waits: {dict(waits)}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.hosts", description=__doc__)
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--timeout", type=float, default=3600, metavar="SECONDS", help="the longest wait")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="hosts-"))
    try:
        wrongs = run(folder, arguments.files, arguments.timeout)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for wrong in wrongs:
        _say(f"WRONG: {wrong}")
    _say("nothing lost, nothing twice" if not wrongs else f"{len(wrongs)} wrong")
    return 1 if wrongs else 0


if __name__ == "__main__":
    sys.exit(main())
