"""The settings of the C library's allocator, in a process of its own, as they cannot be undone."""

import ctypes
import subprocess
import sys

import pytest

CODE = """
import ctypes
from pipeline.allocator import keep_in_heap, configure_allocator

FIELDS = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in FIELDS]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Info
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]

def is_mapped(size):
    before = libc.mallinfo2().hblks
    block = libc.malloc(size)
    mapped = libc.mallinfo2().hblks > before
    libc.free(block)
    return mapped

configure_allocator()
print(is_mapped(3 << 20), is_mapped(9 << 20), is_mapped(9 << 20))
keep_in_heap(12 << 20)
print(is_mapped(9 << 20), is_mapped(13 << 20))
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="not glibc 2.33 or newer")
def test_frames_come_from_the_heap_and_larger_blocks_do_not():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True", "False", "True"]
