"""Landlock (Linux 5.13 and later): which files a process may touch, for ever. Three system calls, no privilege needed.

M. Salaün, "Landlock: unprivileged access control"; the numbers are those of ``linux/landlock.h`` and the same on every machine.
"""

from __future__ import annotations

import ctypes
import os
import struct

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15
READ = EXECUTE | READ_FILE | READ_DIR
_FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV      # what may be granted on a file that is no folder
_FILES_OF_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_TCP, _SCOPES = 0b11, 0b11      # bind and connect (ABI 4); abstract sockets and signals to outside (ABI 6)

_libc = ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments) -> int:
    result = _libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def abi() -> int:
    """The kernel's version of Landlock; 0 where there is none or it is switched off."""
    try:
        return _call(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    except OSError:
        return 0


def restrict(read: list[str], write: list[str]) -> int:
    """Confine this process: beneath ``read`` it may look and map, beneath ``write`` do as it likes with plain files, elsewhere nothing.

    Paths that do not exist are left out. ``no_new_privs`` must be set. Returns the ABI in force; raises ``OSError`` where there is none.
    """
    version = abi()
    if not version:
        raise OSError("this kernel has no Landlock")
    handled = _FILES_OF_ABI[max(known for known in _FILES_OF_ABI if known <= version)]
    attributes = struct.pack("=QQQ", handled, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    rules = _call(_CREATE, attributes, ctypes.c_size_t(size), ctypes.c_uint32(0))
    try:
        for paths, rights in ((read, READ), (write, handled & ~EXECUTE)):
            for path in paths:
                _allow(rules, path, rights & handled)
        _call(_RESTRICT, ctypes.c_int(rules), ctypes.c_uint32(0))
    finally:
        os.close(rules)
    return version


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rights = rights if os.path.isdir(path) else rights & _FILE_RIGHTS
        _call(_ADD, ctypes.c_int(rules), ctypes.c_int(_PATH_BENEATH), struct.pack("=Qi", rights, place), ctypes.c_uint32(0))
    finally:
        os.close(place)
