"""Restricts a process to local sockets, where it may not create a network namespace.

A classic BPF program (kernel documentation, userspace-api/seccomp_filter) examines each call of socket(2). It needs
no privileges, child processes inherit it, and it cannot be removed.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import socket
import struct

_NO_NEW_PRIVILEGES, _SET_SECCOMP, _MODE_FILTER = 38, 22, 2  # prctl(2)
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # BPF: LD|W|ABS, JMP|JEQ|K, JMP|JGE|K, RET|K
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data, little-endian
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000
_FOREIGN_CALLS = 0x40000000  # x32 numbers its calls from here
_MACHINES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}  # AUDIT_ARCH_*, number of socket(2)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def only_local_sockets() -> None:
    """From now on, socket(2) supports AF_UNIX only; any other address family fails with EAFNOSUPPORT.

    Raises:
        OSError: the kernel does not allow it, or there is no filter for this kind of machine.
    """
    if platform.machine() not in _MACHINES:
        raise OSError(errno.ENOSYS, f"no filter for {platform.machine()}")
    instructions = _filter(*_MACHINES[platform.machine()])
    code = ctypes.create_string_buffer(b"".join(instructions))
    program = _Program(len(instructions), ctypes.addressof(code))
    _prctl(_NO_NEW_PRIVILEGES, 1, 0)
    _prctl(_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(program))


def _filter(architecture: int, socket_call: int) -> list[bytes]:
    """Return the program; a jump is the number of instructions that it skips."""
    return [
        _instruction(_LOAD, _ARCHITECTURE),
        _instruction(_EQUAL, architecture, otherwise=6),
        _instruction(_LOAD, _NUMBER),
        _instruction(_AT_LEAST, _FOREIGN_CALLS, then=4),
        _instruction(_EQUAL, socket_call, otherwise=2),
        _instruction(_LOAD, _FIRST_ARGUMENT),
        _instruction(_EQUAL, socket.AF_UNIX, otherwise=1),
        _instruction(_RETURN, _ALLOW),
        _instruction(_RETURN, _REFUSE | errno.EAFNOSUPPORT),
    ]


def _instruction(code: int, value: int, *, then: int = 0, otherwise: int = 0) -> bytes:
    """Return a struct sock_filter."""
    return struct.pack("=HBBI", code, then, otherwise, value)


def _prctl(option: int, first: int, second: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = [ctypes.c_ulong(value) for value in (first, second, 0, 0)]
    if libc.prctl(option, *arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {errno.errorcode.get(number, number)}")
