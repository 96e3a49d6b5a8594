"""Settings of glibc's memory allocator that keep a worker small. Other C libraries ignore them."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGE_BYTES = 4 << 20
_FREE_AT_END_BYTES = 64 << 20


def configure_allocator() -> None:
    """Let all threads share one heap, and keep blocks that are much larger than a frame out of it.

    By default, glibc gives every thread a heap of its own. Frames are allocated in one thread and freed in another,
    so each heap grows to the peak of its thread and keeps that size: 150 MB for a 1080p job, at no gain in speed.

    By default, glibc also adapts and takes large blocks from the heap. Those of an encoder, which is closed after each
    segment, leave holes between the frames: 80 MB after a minute. Frames stay in the heap, because fresh pages for
    each frame would cost a tenth of the time of the job.
    """
    _mallopt(_M_ARENA_MAX, 1)
    keep_in_heap(0)


def keep_in_heap(block_bytes: int) -> None:
    """Take blocks of up to this size from the heap."""
    _mallopt(_M_MMAP_THRESHOLD, max(_LARGE_BYTES, block_bytes))
    _mallopt(_M_TRIM_THRESHOLD, _FREE_AT_END_BYTES)


def trim_heap() -> None:
    """Return free memory of the heaps to the system."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)


def _mallopt(parameter: int, value: int) -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(parameter, value)
