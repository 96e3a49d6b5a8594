"""Lines from a pipe that is read without waiting."""

from __future__ import annotations

import os
from collections.abc import Iterator

_CHUNK_BYTES = 65536
_LONGEST_LINE_BYTES = 1 << 20


class LineBuffer:
    """Cuts what a pipe brings into lines, and keeps the beginning of the next one.

    Args:
        fd: the descriptor to read, which does not block.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._rest = b""

    def lines(self) -> Iterator[bytes]:
        """Yield the lines that have arrived completely since the last call."""
        while chunk := self._read():
            *whole, rest = (self._rest + chunk).split(b"\n")
            self._rest = rest[-_LONGEST_LINE_BYTES:]
            yield from whole

    def _read(self) -> bytes:
        try:
            return os.read(self.fd, _CHUNK_BYTES)
        except BlockingIOError:
            return b""
