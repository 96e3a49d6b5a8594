"""What is wrong with a file never passes for trouble of the storage, which would be waited out for ever."""

from __future__ import annotations

import errno
from pathlib import Path

import av
import pytest

from engines.cpu.container import is_storage_failure
from engines.cpu.probe import probe
from engines.errors import MediaError
from tests.media.synth import Clip

ISO = Clip(width=160, height=120, frames=6)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return ISO.write(tmp_path / "clip.mp4")


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOENT, errno.ESRCH, errno.EIO, errno.EACCES, errno.ENOSPC])
def test_numbers_that_codecs_return(clip: Path, number: int) -> None:
    """Old codecs return -1, -2 and so on for "invalid": as errors of the system they mean something else."""
    with pytest.raises(OSError) as caught:
        av.error.err_check(-number)
    assert not is_storage_failure(caught.value, clip)


@pytest.mark.parametrize("number", [errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN])
def test_numbers_that_only_storage_returns(clip: Path, number: int) -> None:
    with pytest.raises(OSError) as caught:
        av.error.err_check(-number)
    assert is_storage_failure(caught.value, clip)


def test_a_file_that_cannot_be_read_any_more(clip: Path) -> None:
    with pytest.raises(OSError) as caught:
        av.error.err_check(-errno.EIO)
    clip.unlink()
    with pytest.raises(FileNotFoundError):
        is_storage_failure(caught.value, clip)


@pytest.mark.parametrize("size", [2**63 - 1, 2**63, 2**64 - 1])
def test_a_box_beyond_the_end_of_the_world(clip: Path, size: int) -> None:
    """No file position is that large: seeking there is an error of the system."""
    data = clip.read_bytes()
    at = data.index(b"mdat") - 4
    clip.write_bytes(data[:at] + b"\0\0\0\1mdat" + size.to_bytes(8, "big") + data[at:])
    with pytest.raises(MediaError):
        probe(clip)
