"""Units and messages in the packets of H.264 and HEVC."""

from __future__ import annotations

import pytest

from engines.cuda.decoding.headers import messages, nal_units

UNITS = [b"\x67sequence", b"\x68picture", b"\x65slice of it"]


def test_units_behind_start_codes() -> None:
    packet = b"\x00\x00\x00\x01" + b"\x00\x00\x01".join(UNITS)
    assert [bytes(unit) for unit in nal_units(memoryview(packet), 0)] == UNITS


@pytest.mark.parametrize("size", [1, 2, 4])
def test_units_behind_lengths(size: int) -> None:
    packet = b"".join(len(unit).to_bytes(size, "big") + unit for unit in UNITS)
    assert [bytes(unit) for unit in nal_units(memoryview(packet), size)] == UNITS


@pytest.mark.parametrize("cut", range(1, 30))
def test_a_packet_that_ends_early_gives_what_there_is(cut: int) -> None:
    packet = b"".join(len(unit).to_bytes(4, "big") + unit for unit in UNITS)[:cut]
    found = [bytes(unit) for unit in nal_units(memoryview(packet), 4)]
    assert all(whole.startswith(unit) for whole, unit in zip(UNITS, found, strict=False))


def test_all_messages_of_a_unit_are_seen() -> None:
    unit = b"\x06" + b"\x05\x04abcd" + b"\xff\x03\x01x" + b"\x2f\x02zz" + b"\x80"
    assert messages(unit, "h264") == [5, 258, 47]
    assert messages(b"\x4e\x01" + unit[1:], "hevc") == [5, 258, 47]


@pytest.mark.parametrize("unit", [b"", b"\x06", b"\x06\xff", b"\x06\xff\xff\xff", b"\x06\x05\xff"])
def test_nonsense_has_an_end(unit: bytes) -> None:
    assert len(messages(unit, "h264")) <= 1
