"""Boxes that name channels, spoiled by seeded dice: ``python -m tests.hostile.layouts --count 4000 --allocator asan``.

Each mutant is described and its audio decoded and encoded, all in one process. A checking allocator ends it at the
first wrong use of the heap; the number on the last line is then that of the mutant.
"""

from __future__ import annotations

import argparse
import random
import struct
import sys
import tempfile
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np

from engines.audio.output import AudioOutput
from engines.audio.policy import AudioPolicy
from engines.audio.prescan import prescan
from engines.containers.channel_layouts import decode
from engines.containers.demux import open_media
from engines.errors import ExplainedError
from engines.media.probe import probe
from tests.hostile.allocators import begin_again_checked, checking_allocators
from tests.hostile.mutations import MUTATIONS
from tests.support.layout_boxes import box, chan, chnl, layout, plain, with_names

_SUFFIXES = (".mov", ".mov", ".mov", ".caf", ".aiff")
_LABELS = (*range(19), *range(33, 40), 42, 49, 51, *range(57, 62), 100, 200, 208, 1 << 16, 1 << 16 | 1, 2**32 - 1)
_SAMPLES = 480


def mutant(seed: int, number: int) -> tuple[str, bytes]:
    """Suffix and content of a recording: the same each time."""
    dice = random.Random(f"layouts/{seed}/{number}")
    suffix = dice.choice(_SUFFIXES)
    channels = dice.choice((1, 2, 3, 4, 5, 6, 6, 7, 8, 8, 9, 16))
    data = bytearray(with_names(_plain(suffix, channels), _names(suffix, channels, dice)))
    if dice.random() < 0.3:
        data = dice.choice(MUTATIONS)(data, dice, bytes(data)) or data
    return suffix, bytes(data)


def hear(path: Path) -> str:
    """Describe a recording and encode its audio; returns how it ended."""
    try:
        info = probe(path)
    except ExplainedError as error:
        _decode_all(path)
        return type(error).__name__
    found = prescan(path, info.audio, AudioPolicy())
    with open_media(path) as source, av.open("/dev/null", "w", format="null") as out:
        pump = AudioOutput(path, source, found, out, Fraction(0))
        return f"{sum(1 for _ in pump.packets())} packets"


def _decode_all(path: Path) -> None:
    """What has no frames, the service refuses; its audio is read all the same here."""
    try:
        with open_media(path) as source:
            for stream in source.streams.audio:
                for packet in source.demux(stream):
                    sum(frame.layout.nb_channels for frame in decode(stream, packet))
    except (ExplainedError, av.FFmpegError, ValueError):
        return


def _names(suffix: str, channels: int, dice: random.Random) -> bytes:
    if suffix != ".mov":
        return _spoiled(_layout(channels, dice), dice)
    names = dice.choice(
        (
            chan(0)[:12] + _layout(channels, dice),
            chnl([dice.randrange(128) for _ in range(_count(channels, dice) % 256)]),
            box(b"chnl", bytes(4) + bytes([1, dice.randrange(24)]) + dice.randbytes(8)),
        )
    )
    names = struct.pack(">I", len(names)) + names[4:]
    names = _spoiled(names, dice)
    names = box(b"wave", names + bytes(8)) if dice.random() < 0.2 else names
    return names * dice.choice((1, 1, 1, 2, 3))


def _layout(channels: int, dice: random.Random) -> bytes:
    count = _count(channels, dice)
    tag = dice.choice((0, 0, 1 << 16, 147 << 16 | count, 0xFFFF0000, dice.randrange(100, 200) << 16 | count))
    return layout(tag, dice.getrandbits(dice.choice((6, 18, 32))), dice.choices(_LABELS, k=dice.choice((0, count))))


def _count(channels: int, dice: random.Random) -> int:
    """Mostly as many channels as there are."""
    return channels if dice.random() < 0.7 else dice.choice((0, 1, channels - 1, channels + 1, 64, 300))


def _spoiled(data: bytes, dice: random.Random) -> bytes:
    if dice.random() < 0.7:
        return data
    at = dice.randrange(len(data))
    return data[:at] + dice.randbytes(dice.choice((1, 4))) + data[at + 4 :]


@cache
def _plain(suffix: str, channels: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        noise = np.random.default_rng(channels).integers(-9999, 9999, (channels, _SAMPLES), dtype=np.int16)
        return plain(Path(folder) / f"plain{suffix}", noise).read_bytes()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.layouts", description=__doc__)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--allocator", choices=sorted(checking_allocators()))
    options = parser.parse_args()
    if options.allocator:
        begin_again_checked(options.allocator)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.first, options.first + options.count):
            sys.stdout.write(f"{number} ")
            sys.stdout.flush()
            suffix, content = mutant(options.seed, number)
            path = Path(folder) / f"mutant{suffix}"
            path.write_bytes(content)
            sys.stdout.write(f"{hear(path)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
