"""The compiled core, loaded once. Rooms declare their own functions on it with ``declare``."""

from __future__ import annotations

import ctypes
from pathlib import Path

_PATH = Path(__file__).resolve().parent / "_core.so"
_library: ctypes.CDLL | None = None


class CoreMissing(ImportError):
    """The compiled core is not there."""


def library() -> ctypes.CDLL:
    """The shared library; calls through it release the interpreter lock."""
    global _library
    if _library is None:
        if not _PATH.exists():
            raise CoreMissing("the compiled core is missing: run `make setup` (or `python -m neurorack.build_core`)")
        _library = ctypes.CDLL(str(_PATH))
    return _library


def declare(name: str, restype, *argtypes):
    """The core's function ``name`` with its C types set."""
    function = getattr(library(), name)
    function.restype = restype
    function.argtypes = argtypes
    return function


def quick(name: str, restype, *argtypes):
    """Like ``declare``, but the call keeps the interpreter lock: only for functions of well under a microsecond.

    Without argument types the caller passes ctypes values itself, which saves their conversion.
    """
    function = getattr(_quick_library(), name)
    function.restype = restype
    if argtypes:
        function.argtypes = argtypes
    return function


def _quick_library(_cache=[]) -> ctypes.PyDLL:
    library()
    if not _cache:
        _cache.append(ctypes.PyDLL(str(_PATH)))
    return _cache[0]
