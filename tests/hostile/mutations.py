"""Ways to spoil a recording, each a function of its bytes and of seeded dice."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.hostile.boxes import Part, parts_of

Mutation = Callable[[bytearray, random.Random, bytes], bytearray]

_EXTREMES = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_TS_PACKET = 188
_BLOCK = 512


def flip_bits(data: bytearray, dice: random.Random, _other: bytes) -> bytearray:
    for _ in range(dice.choice((1, 3, 20, 200))):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    return data


def zero_blocks(data: bytearray, dice: random.Random, _other: bytes) -> bytearray:
    for _ in range(dice.randint(1, 5)):
        at, size = dice.randrange(len(data)), dice.choice((16, 64, _BLOCK, 4096))
        data[at : at + size] = bytes(len(data[at : at + size]))
    return data


def noise_blocks(data: bytearray, dice: random.Random, _other: bytes) -> bytearray:
    for _ in range(dice.randint(1, 5)):
        at, size = dice.randrange(len(data)), dice.choice((4, 16, 64, _BLOCK))
        data[at : at + size] = dice.randbytes(len(data[at : at + size]))
    return data


def cut_off(data: bytearray, dice: random.Random, _other: bytes) -> bytearray:
    return data[: dice.choice((dice.randrange(len(data)), dice.randrange(min(200, len(data))), len(data) - 1))]


def lose_the_head(data: bytearray, dice: random.Random, _other: bytes) -> bytearray:
    return data[dice.choice((1, 4, 8, 28, _TS_PACKET, dice.randrange(len(data)))) :]


def move_a_stretch(data: bytearray, dice: random.Random, _other: bytes) -> bytearray:
    """Cut a stretch out and put it elsewhere, once, twice or not at all."""
    begin = dice.randrange(len(data))
    stretch = data[begin : begin + dice.choice((1, 2, 3, 100, 5000))]
    rest = data[:begin] + data[begin + len(stretch) :]
    at = dice.randrange(len(rest) + 1)
    return rest[:at] + stretch * dice.randrange(3) + rest[at:]


def splice(data: bytearray, dice: random.Random, other: bytes) -> bytearray:
    """The begin of one file and the end of another."""
    return data[: dice.randrange(len(data))] + other[dice.randrange(len(other)) :]


def glue(data: bytearray, dice: random.Random, other: bytes) -> bytearray:
    """Two whole files, one after the other."""
    return data + dice.choice((bytes(data), other))


def extreme_number(data: bytearray, dice: random.Random, _other: bytes) -> bytearray:
    """An extreme value at any place of the head or tail, where indexes live."""
    for _ in range(dice.randint(1, 3)):
        near = dice.randrange(min(len(data), 4096))
        _write(data, dice.choice((near, max(0, len(data) - near - 8))), dice, dice.choice(("big", "little")))
    return data


def part_size(data: bytearray, dice: random.Random, _other: bytes) -> bytearray:
    """A part claims another length: none, one off, enormous, or open-ended."""
    part = _any_part(data, dice)
    if part is None:
        return extreme_number(data, dice, _other)
    limit = 1 << 8 * part.size_bytes
    size = part.end - part.start
    wrong = dice.choice((0, 1, 4, size - 1, size + 1, size * 2, len(data), limit // 2, limit - 1))
    order = "little" if data[:4] == b"RIFF" else "big"
    data[part.size_at : part.size_at + part.size_bytes] = (wrong % limit).to_bytes(part.size_bytes, order)
    return data


def part_kind(data: bytearray, dice: random.Random, _other: bytes) -> bytearray:
    """A part claims to be of another kind."""
    part, model = _any_part(data, dice), _any_part(data, dice)
    if part is None or model is None:
        return noise_blocks(data, dice, _other)
    at = part.size_at + 4 if part.size_at == part.start else part.start
    data[at : at + len(part.kind)] = model.kind[: len(part.kind)].ljust(len(part.kind), b"\0")
    return data


def part_again(data: bytearray, dice: random.Random, _other: bytes) -> bytearray:
    """A part comes twice, or many times."""
    part = _any_part(data, dice)
    if part is None:
        return move_a_stretch(data, dice, _other)
    copies = dice.choice((1, 1, 1, 300 if part.end - part.start < 2000 else 3))
    return data[: part.end] + data[part.start : part.end] * copies + data[part.end :]


def part_missing(data: bytearray, dice: random.Random, _other: bytes) -> bytearray:
    part = _any_part(data, dice)
    return cut_off(data, dice, _other) if part is None else data[: part.start] + data[part.end :]


def parts_swapped(data: bytearray, dice: random.Random, _other: bytes) -> bytearray:
    a, b = sorted((_any_part(data, dice) or _nowhere(), _any_part(data, dice) or _nowhere()), key=lambda p: p.start)
    if a.end > b.start:
        return move_a_stretch(data, dice, _other)
    first, second = data[a.start : a.end], data[b.start : b.end]
    return data[: a.start] + second + data[a.end : b.start] + first + data[b.end :]


def part_fields(data: bytearray, dice: random.Random, _other: bytes) -> bytearray:
    """Fields of index and header parts get extreme values: sizes, rates, counts, durations, offsets."""
    small = [p for p in parts_of(bytes(data)) if not p.is_payload and 0 < p.end - p.body < 4096]
    if not small:
        return extreme_number(data, dice, _other)
    for _ in range(dice.randint(1, 4)):
        part = dice.choice(small)
        room = max(1, min(part.end - part.body, 120))
        step = dice.choice((1, 2, 4))
        _write(data, part.body + dice.randrange(room) // step * step, dice, "little" if data[:4] == b"RIFF" else "big")
    return data


def ts_packets(data: bytearray, dice: random.Random, _other: bytes) -> bytearray:
    """Packets of a transport stream get lost, doubled, reordered, or another PID; other files lose blocks."""
    step = _TS_PACKET if data[:1] == b"G" else _BLOCK
    packets = [data[at : at + step] for at in range(0, len(data), step)]
    for _ in range(dice.randint(1, 12)):
        at = dice.randrange(len(packets))
        what = dice.randrange(4)
        if what == 0 and len(packets) > 1:
            del packets[at]
        elif what == 1:
            packets.insert(at, packets[dice.randrange(len(packets))])
        elif what == 2:
            packets[at], packets[-1] = packets[-1], packets[at]
        else:
            packets[at][1:3] = dice.randbytes(2)
    return bytearray(b"".join(packets))


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits,
    zero_blocks,
    noise_blocks,
    cut_off,
    lose_the_head,
    move_a_stretch,
    splice,
    glue,
    extreme_number,
    part_size,
    part_kind,
    part_again,
    part_missing,
    parts_swapped,
    part_fields,
    part_fields,
    part_fields,
    ts_packets,
)


@dataclass(frozen=True)
class Mutant:
    """A spoiled file, and what was done to which original."""

    name: str
    recipe: str
    content: bytes


def mutant(originals: dict[str, bytes], seed: int, number: int) -> Mutant:
    """The ``number``-th mutant of a seed: the same bytes each time."""
    dice = random.Random(f"{seed}/{number}")
    base, other = dice.choice(sorted(originals)), dice.choice(sorted(originals))
    chosen = dice.choices(MUTATIONS, k=dice.choice((1, 1, 1, 2, 3)))
    data = bytearray(originals[base])
    for mutation in chosen:
        data = mutation(data, dice, originals[other]) or bytearray(b"\0")
    suffix = (base if dice.random() < 0.9 else other).rpartition(".")[2]
    recipe = f"{base}: {', '.join(mutation.__name__ for mutation in chosen)}"
    return Mutant(f"{number:06d}-{base.replace('.', '-')}.{suffix}", recipe, bytes(data))


def _any_part(data: bytearray, dice: random.Random) -> Part | None:
    parts = parts_of(bytes(data))
    return dice.choice(parts) if parts else None


def _nowhere() -> Part:
    return Part(b"", 0, 0, 0, 0, 1, 0)


def _write(data: bytearray, at: int, dice: random.Random, order: str) -> None:
    width = dice.choice((1, 2, 4, 8))
    value = dice.choice((dice.choice(_EXTREMES), dice.getrandbits(8 * width), 10 ** dice.randrange(1, 10)))
    field = (value % (1 << 8 * width)).to_bytes(width, "little" if order == "little" else "big")
    data[at : at + width] = field[: len(data[at : at + width])]
