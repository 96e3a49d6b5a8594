"""The books of a soak: every file that was dropped, and where it is at the end."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.soak.recordings import Drop

_CRASHES = {"WORKER_DIED", "WORKER_STALLED"}


@dataclass
class Ledger:
    """What was dropped, by the SHA-256 of its content."""

    root: Path
    dropped: dict[str, Drop] = field(default_factory=dict)

    def note(self, drop: Drop) -> None:
        self.dropped[hashlib.sha256(drop.content).hexdigest()] = drop

    def ended(self) -> int:
        """How many files have come to their end."""
        return sum(1 for folder in ("originals", "failed") for path in _files(self.root / folder) if _is_source(path))

    def outcomes(self) -> Counter[str]:
        """How often each outcome came: "succeeded", or the error's code."""
        done = Counter(str(report["status"]) for report in _reports(self.root / "outbox"))
        return done + Counter(str(report["error"]["code"]) for report in _reports(self.root / "failed"))

    def faults(self, *, kills: int) -> list[str]:
        """Everything that is not as it must be, once nothing is left to be done.

        Args:
            kills: how many workers were killed or stopped on purpose: three of them may cost a good file its video.
        """
        delivered = Counter(_sha256(path) for path in _files(self.root / "originals") if _is_source(path))
        failed = Counter(_sha256(path) for path in _files(self.root / "failed") if _is_source(path))
        reported = Counter(report["input"]["sha256"] for report in _reports(self.root / "outbox"))
        found = delivered + failed
        return [
            *_listed("lost", self._names(self.dropped.keys() - found.keys())),
            *_listed("doubled", self._names(key for key, times in found.items() if times > 1)),
            *_listed("nobody dropped", found.keys() - self.dropped.keys()),
            *_listed("retired without its output", self._names((delivered - reported).keys())),
            *_listed("output without its original", self._names((reported - delivered).keys())),
            *self._unjust(failed, kills),
            *self._incomplete(),
            *self._leftovers(),
        ]

    def _names(self, keys: Any) -> list[str]:
        return [repr(self.dropped[key].relative) if key in self.dropped else str(key) for key in keys]

    def _unjust(self, failed: Counter[str], kills: int) -> Iterator[str]:
        """Good files that have failed, but for those whose worker was killed three times."""
        codes = Counter(str(report["error"]["code"]) for report in _reports(self.root / "failed"))
        good = [self.dropped[key] for key in failed if key in self.dropped and not self.dropped[key].may_fail]
        if len(good) > min(sum(codes[code] for code in _CRASHES), kills // 3):
            yield from (f"failed for no reason of its own: {drop.kind} {drop.relative!r}" for drop in good)

    def _incomplete(self) -> Iterator[str]:
        """Results of which a part is missing, and failures without their explanation."""
        outbox = {str(path.relative_to(self.root / "outbox")) for path in _files(self.root / "outbox")}
        videos = {name.removesuffix(".mp4") for name in outbox if name.endswith(".mp4")}
        expected = {stem + end for stem in videos for end in _OUTPUTS}
        yield from _listed("missing in the outbox", expected - outbox)
        yield from _listed("too much in the outbox", outbox - expected - {"status.html", "status.json"})
        sources = sum(1 for path in _files(self.root / "failed") if _is_source(path))
        reports = list(_reports(self.root / "failed"))
        if sources != len(reports):
            yield f"{sources} failed files, {len(reports)} explanations"
        yield from (f"no remedy: {report['error']}" for report in reports if not report["error"]["remedy"])

    def _leftovers(self) -> Iterator[str]:
        yield from _listed("still in the inbox", (str(path) for path in _files(self.root / "inbox")))
        yield from _listed("job that did not end", (path.name for path in (self.root / ".dualface/jobs").iterdir()))
        hidden = (
            path for folder in ("outbox", "failed", "originals", ".dualface") for path in _all(self.root / folder)
        )
        yield from _listed("temporary file", (str(path) for path in hidden if path.name.endswith(".part")))


_OUTPUTS = (".mp4", ".report.json", ".tracks.jsonl.gz", ".preview.jpg")


def temporary_files(root: Path) -> int:
    """Files below ``.dualface`` that belong to no host."""
    return sum(1 for path in _all(root / ".dualface") if "hosts" not in path.parts)


def _listed(what: str, names: Any) -> list[str]:
    return [f"{what}: {name}" for name in names]


def _all(folder: Path) -> Iterator[Path]:
    for where, _, names in os.walk(folder):
        yield from (Path(where) / name for name in names)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in _all(folder) if not path.name.startswith("."))


def _is_source(path: Path) -> bool:
    return not path.name.endswith((".report.json", ".dualface.yaml"))


def _reports(folder: Path) -> Iterator[dict[str, Any]]:
    for path in _files(folder):
        if path.name.endswith(".report.json"):
            yield json.loads(path.read_bytes())


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
