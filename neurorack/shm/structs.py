"""A section of the shared table as a ctypes structure of this process: filled here, then written at once."""

from __future__ import annotations

import ctypes

from neurorack.shm import table

_C = {"u32": ctypes.c_uint32, "i32": ctypes.c_int32, "u64": ctypes.c_uint64, "i64": ctypes.c_int64, "f32": ctypes.c_float,
      "f64": ctypes.c_double, "char": ctypes.c_char}


def structure(name: str, title: str) -> type[ctypes.Structure]:
    """The C structure ``nr_<name>``, as a class called ``title``."""
    section = next(s for s in table.TABLE if s.name == name)
    fields = [(f.name, _C[f.kind] * f.count if f.count > 1 else _C[f.kind]) for f in section.fields]
    used = ctypes.sizeof(type("Bare", (ctypes.Structure,), {"_fields_": fields}))
    fields.append(("_pad", ctypes.c_char * (-used % 64)))  # the C structure is a whole number of cache lines
    return type(title, (ctypes.Structure,), {"_fields_": fields})
