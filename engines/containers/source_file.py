"""Reading a file for FFmpeg, so that trouble of the storage is never taken for the file's.

FFmpeg's own reader tells the demuxers of a failed read, and those make of it what they like: an error, the end of the
file, a damaged stretch. They also say EIO themselves, of files that end too early. Here a failed read raises in Python,
and PyAV raises that exception from the call that it came up in, whatever the demuxer has made of it.
"""

from __future__ import annotations

import errno
import threading
import time
from pathlib import Path

_waited = threading.local()


def waited_s() -> float:
    """Time that the calling thread has spent in reads of source files so far."""
    return float(getattr(_waited, "seconds", 0.0))


class SourceFile:
    """A file open for reading; satisfies what PyAV asks of a file object. Closed with its last reference."""

    def __init__(self, path: Path) -> None:
        self.name = str(path.absolute())  # for the formats that are recognised by their names, too
        self._file = path.open("rb", buffering=0)

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes, none at the end.

        Raises:
            OSError: the storage failed.
        """
        begin = time.perf_counter()
        try:
            return self._file.read(size)
        finally:
            _waited.seconds = waited_s() + time.perf_counter() - begin

    def seek(self, offset: int, whence: int) -> int:
        """The new position, or a negative error number for one that no file has: then the content is wrong.

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
