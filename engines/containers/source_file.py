"""Read a file for FFmpeg so that storage errors are distinguished from damage of the file.

With FFmpeg's own reader, each demuxer treats a failed read in its own way: as an error, as the end of the file or as
damage. Demuxers also report EIO for files that end too early. Here a failed read raises in Python, and PyAV raises that
exception from the call in which it occurred, whatever the demuxer did with the error.
"""

from __future__ import annotations

import errno
import threading
import time
from pathlib import Path

_waited = threading.local()


def waited_s() -> float:
    """Return the seconds that the calling thread has spent in reads of source files."""
    return float(getattr(_waited, "seconds", 0.0))


class SourceFile:
    """A file open for reading, as a file object for PyAV. It is closed with its last reference."""

    def __init__(self, path: Path) -> None:
        self.name = str(path.absolute())  # some formats are also recognised by the file's name
        self._file = path.open("rb", buffering=0)

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes; none at the end.

        Raises:
            OSError: the storage failed.
        """
        begin = time.perf_counter()
        try:
            return self._file.read(size)
        finally:
            _waited.seconds = waited_s() + time.perf_counter() - begin

    def seek(self, offset: int, whence: int) -> int:
        """Return the new position, or a negative error number if it is impossible, which means damaged content.

        Raises:
            OSError: the storage failed.
        """
        try:
            return self._file.seek(offset, whence)
        except (OverflowError, ValueError):
            return -errno.EINVAL
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.EOVERFLOW):
                return -error.errno
            raise

    def tell(self) -> int:
        return self._file.tell()
