"""Frame sizes in the uncompressed headers of VP9 (VP9 bitstream specification 0.6, sections 6.2 and 7.2, annex B)."""

from __future__ import annotations

from collections.abc import Iterator

from engines.frames import Size

_SYNC_CODE = 0x498342
_SRGB = 7  # color_space
_HEADER_BYTES = 24  # as many as come before the size, and more
_REFERENCES = 3


def explicit_sizes(packet: bytes) -> list[Size]:
    """Return the sizes in the frame headers of a packet; most inter frames take that of a reference instead.

    A header that cannot be parsed gives none.
    """
    sizes = (_size(_Bits(frame[:_HEADER_BYTES])) for frame in _frames(packet))
    return [size for size in sizes if size is not None]


class _Bits:
    """Reads from the highest bit on; zeros follow the end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data.ljust(_HEADER_BYTES, b"\0"), "big")
        self._left = 8 * _HEADER_BYTES

    def take(self, count: int) -> int:
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)


def _frames(packet: bytes) -> Iterator[bytes]:
    """Yield the frames of a superframe, or the packet itself."""
    marker = packet[-1] if packet else 0
    count, length = (marker & 7) + 1, (marker >> 3 & 3) + 1
    index = packet[-(2 + count * length) :]
    if marker >> 5 != 0b110 or len(index) != 2 + count * length or index[0] != marker:
        yield packet
        return
    begin = 0
    for at in range(1, 1 + count * length, length):
        end = begin + int.from_bytes(index[at : at + length], "little")
        yield packet[begin:end]
        begin = end


def _size(bits: _Bits) -> Size | None:
    if bits.take(2) != 2:
        return None
    profile = bits.take(1) + 2 * bits.take(1)
    if profile == 3:
        bits.take(1)
    if bits.take(1):  # show_existing_frame
        return None
    is_inter, is_shown, is_resilient = bits.take(1), bits.take(1), bits.take(1)
    if not is_inter:
        return _behind_colors(bits, profile) if bits.take(24) == _SYNC_CODE else None
    is_intra_only = 0 if is_shown else bits.take(1)
    if not is_resilient:
        bits.take(2)  # reset_frame_context
    if is_intra_only:
        return _of_intra_only(bits, profile)
    bits.take(8 + 4 * _REFERENCES)  # refresh_frame_flags, references and their signs
    takes_over = any(bits.take(1) for _ in range(_REFERENCES))
    return None if takes_over else _named(bits)


def _of_intra_only(bits: _Bits, profile: int) -> Size | None:
    if bits.take(24) != _SYNC_CODE:
        return None
    if profile > 0:
        _skip_colors(bits, profile)
    bits.take(8)  # refresh_frame_flags
    return _named(bits)


def _behind_colors(bits: _Bits, profile: int) -> Size:
    _skip_colors(bits, profile)
    return _named(bits)


def _skip_colors(bits: _Bits, profile: int) -> None:
    if profile >= 2:
        bits.take(1)  # bit depth
    has_range = bits.take(3) != _SRGB
    if has_range:
        bits.take(1)
    if profile in (1, 3):
        bits.take(3 if has_range else 1)  # subsampling, and a reserved bit


def _named(bits: _Bits) -> Size:
    return bits.take(16) + 1, bits.take(16) + 1
