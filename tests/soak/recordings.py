"""What people drop during a soak: good and bad, short and long, under any name, some with a sidecar; all seeded."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engines.priority import priority_kept
from tests.hostile.mutations import mutant
from tests.hostile.originals import ORIGINALS
from tests.support.recordings import write_audio, write_recording

_NAMES: tuple[Callable[[random.Random, int], str], ...] = (
    lambda dice, n: f"interview {n}",
    lambda dice, n: f"podcast {n % 7}",  # taken names come again
    lambda dice, n: f"day {n % 3}/take {n}",
    lambda dice, n: f"day {n % 3}/deep/er/take {n % 5}",
    lambda dice, n: f"인터뷰 {n}",
    lambda dice, n: f"line\nbreak\t{n}\x1b[31m",
    lambda dice, n: f"<img src=x onerror=alert({n})>&amp;'\"",
    lambda dice, n: f"\u202egnitceffe{n}\u200f",
    lambda dice, n: f"-rf --{n}",
    lambda dice, n: f"{n}" + "x" * (251 - len(str(n))),
    lambda dice, n: f"{n}" + "한" * ((251 - len(str(n))) // 3),
    lambda dice, n: f"{n} {{% x %}} $(touch pwned) `id`; %s %n ..",
    lambda dice, n: os.fsdecode(f"{n}-".encode() + bytes(dice.choice(range(0x80, 0x100)) for _ in range(20))),
    lambda dice, n: " " * dice.randint(1, 3) + f"{n}" + " " * dice.randint(1, 3),
)
_GOOD_SIDECAR = b"swap: true\npins:\n  - {tile: left, from: 0, to: 0.5, crop: [0, 0, 90, 100]}\n"
_BAD_SIDECARS = (b"swap: maybe\n", b"\xff\xfe\x00", b"[" * 5000, b"a: &a [*a]\n", b"pins: [{tile: middle}]\n")
_KINDS = (("short", 50), ("medium", 12), ("long", 3), ("mutant", 25), ("text", 3), ("sound", 3), ("good sidecar", 4),
          ("bad sidecar", 3))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Drop:
    """One file to be dropped: ``relative`` to the inbox; ``may_fail`` where it need not become a video."""

    relative: str
    content: bytes
    kind: str
    may_fail: bool
    sidecar: bytes | None = None


class Supply:
    """An endless row of files, the same for the same seed; each differs from all others in its content."""

    def __init__(self, folder: Path, seed: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._dice = random.Random(f"drops {seed}")
        self._seed = seed
        self._number = 0
        self._media = {
            "short": write_recording(folder / "short.mp4", seconds=1, fps=10, size=(240, 136)).read_bytes(),
            "medium": write_recording(folder / "medium.mp4", seconds=3, fps=10, size=(320, 180)).read_bytes(),
            "long": write_recording(folder / "long.mp4", seconds=10, fps=15, size=(320, 180)).read_bytes(),
            "sound": write_audio(folder / "sound.mp4").read_bytes(),
        }
        with priority_kept():
            self._originals = {o.name: o.write(folder).read_bytes() for o in ORIGINALS if o.codec.startswith("lib")}

    def next(self) -> Drop:
        """The next file."""
        self._number += 1
        kind = self._dice.choices([name for name, _ in _KINDS], [weight for _, weight in _KINDS])[0]
        name = self._dice.choice(_NAMES)(self._dice, self._number)
        if kind == "mutant":
            spoiled = mutant(self._originals, self._seed, self._number)
            suffix = spoiled.name.rpartition(".")[2]
            return Drop(_short(name, suffix), self._marked(spoiled.content), kind, may_fail=True)
        if kind == "text":
            return Drop(_short(name, "mp4"), self._marked(b"no video at all\n" * 50), kind, may_fail=True)
        if kind == "sound":
            return Drop(_short(name, "mp4"), self._marked(self._media["sound"]), kind, may_fail=True)
        if kind.endswith("sidecar"):
            sidecar = _GOOD_SIDECAR if kind == "good sidecar" else self._dice.choice(_BAD_SIDECARS)
            content = self._marked(self._media["short"])
            return Drop(f"with sidecar {self._number}.mp4", content, kind, kind == "bad sidecar", sidecar)
        return Drop(_short(name, "mp4"), self._marked(self._media[kind]), kind, may_fail=False)

    def _marked(self, content: bytes) -> bytes:
        """The content with an empty box of its own at the end."""
        return content + struct.pack(">I4s", 24, b"free") + f"{self._seed:08d}{self._number:08d}".encode()


def _short(name: str, suffix: str) -> str:
    """The path with its extension; its last part just fits into a directory entry."""
    parent, _, last = name.rpartition("/")
    while len(os.fsencode(f"{last}.{suffix}")) > 255:
        last = last[:-1]
    return f"{parent}/{last}.{suffix}" if parent else f"{last}.{suffix}"
