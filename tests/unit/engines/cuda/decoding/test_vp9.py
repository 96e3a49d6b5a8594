"""Frame sizes in VP9's headers, bit by bit."""

from __future__ import annotations

import pytest

from engines.cuda.decoding.vp9 import explicit_sizes

SYNC = f"{0x498342:024b}"
SIZE = f"{639:016b}{359:016b}"
KEYFRAME = "10000010" + SYNC + "0100" + SIZE
HEADERS = {
    "keyframe": (KEYFRAME, [(640, 360)]),
    "keyframe 4:4:4": ("10100010" + SYNC + "0100000" + SIZE, [(640, 360)]),
    "keyframe 4:4:4 RGB": ("10100010" + SYNC + "1110" + SIZE, [(640, 360)]),
    "keyframe 10 bits": ("10010010" + SYNC + "00100" + SIZE, [(640, 360)]),
    "keyframe 4:4:4 12 bits": ("101100010" + SYNC + "10100000" + SIZE, [(640, 360)]),
    "intra only": ("10000100100" + SYNC + "00000001" + SIZE, [(640, 360)]),
    "inter, of a reference": ("1000011000" + "0" * 20 + "001", []),
    "inter, explicit": ("1000011000" + "0" * 20 + "000" + SIZE, [(640, 360)]),
    "inter, resilient": ("10000111" + "0" * 20 + "000" + SIZE, [(640, 360)]),
    "shown again": ("10001000", []),
    "no sync code": ("10000010" + "0" * 24 + "0100" + SIZE, []),
    "nonsense": ("01" * 8, []),
}


def packed(bits: str) -> bytes:
    bits += "0" * (-len(bits) % 8 + 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


@pytest.mark.parametrize("case", HEADERS)
def test_a_header_names_its_size_or_none(case: str) -> None:
    bits, sizes = HEADERS[case]
    assert explicit_sizes(packed(bits)) == sizes


def test_every_frame_of_a_superframe_is_looked_at() -> None:
    frames = [packed(HEADERS["inter, of a reference"][0]), packed(KEYFRAME)]
    marker = bytes([0b11000000 | len(frames) - 1])
    index = marker + bytes(len(frame) for frame in frames) + marker
    assert explicit_sizes(b"".join(frames) + index) == [(640, 360)]


@pytest.mark.parametrize("packet", [b"", b"\xc0", b"\xc7\x00", b"\xdf" * 40])
def test_nonsense_has_no_size(packet: bytes) -> None:
    assert explicit_sizes(packet) == []
