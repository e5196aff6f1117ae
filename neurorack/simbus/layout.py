"""The simulated board's block, defined once: ctypes structures for Python, a generated header for C.

Standard library only, because ``build_core.py`` reads it before anything is installed.
"""

from __future__ import annotations

import ctypes

CHIPS, BUSES, LINES, REQUESTS, REQUEST_LINES, NETS, DISPLAYS = 8, 4, 256, 24, 64, 32, 2
RAM_BYTES = 240 * 320 * 3
MAGIC = 0x53494D42

KINDS = ("none", "ads1015", "ads1115", "mcp3208", "ssd1306", "sh1106", "st7789", "ioexpander")
I2C, SPI = 1, 2

_U8, _U32, _I32, _U64, _I64, _F64 = (ctypes.c_uint8, ctypes.c_uint32, ctypes.c_int32, ctypes.c_uint64, ctypes.c_int64, ctypes.c_double)
_C = {_U8: "uint8_t", _U32: "uint32_t", _I32: "int32_t", _U64: "uint64_t", _I64: "int64_t", _F64: "double"}

#: (name, type, count, meaning); a type may be the name of a structure above
STRUCTURES = {
    "bus": [
        ("kind", _U32, 1, "1 I2C, 2 SPI, 0 unused"),
        ("number", _U32, 1, "of /dev/i2c-N, or B of /dev/spidevB.C"),
        ("speed_hz", _U32, 1, "I2C clock; SPI brings its own with each transfer"),
        ("stuck", _U32, 1, "1: a line is held low, nothing gets through"),
        ("free_ns", _I64, 1, "when the transfer now on the wires ends"),
        ("busy_ns", _I64, 1, "time the wires were used so far"),
        ("transfers", _U64, 1, "so far"),
    ],
    "chip": [
        ("kind", _U32, 1, "index into KINDS"),
        ("bus", _U32, 1, "index of its bus"),
        ("address", _U32, 1, "I2C address or SPI chip select"),
        ("absent", _U32, 1, "1: not there"),
        ("appears_ns", _I64, 1, "not there before this time (CLOCK_MONOTONIC)"),
        ("nack_rate", _F64, 1, "share of transfers it does not acknowledge, 0..1"),
        ("noise_lsb", _F64, 1, "RMS noise of a converter"),
        ("offset_volts", _F64, 1, "of a converter, at its pins"),
        ("gain", _F64, 1, "of a converter, 1 = none missing"),
        ("clock_error", _F64, 1, "of its oscillator, 0.05 = 5 % slow"),
        ("supply_volts", _F64, 1, "its supply, and the reference of an MCP3208"),
        ("net", _I32, 8, "which node each analog pin is wired to, -1 = ground"),
        ("alert_line", _I32, 1, "GPIO line its ALERT/RDY or INT pin is wired to, -1 = none"),
        ("dc_line", _I32, 1, "GPIO line of a display's data/command pin, -1 = none"),
        ("display", _I32, 1, "which display memory is its, -1 = none"),
        ("transfers", _U64, 1, "acknowledged so far"),
        ("refused", _U64, 1, "not acknowledged so far"),
        ("conversions", _U64, 1, "of a converter so far"),
        ("random", _U64, 1, "state of its noise"),
        ("ticker", _I32, 1, "process that times its ALERT pin"),
        ("pointer", _U32, 1, "register pointer, or place in a command"),
        ("end_ns", _I64, 1, "end of the running conversion, 0 = none"),
        ("count", _I32, 1, "comparator: conversions in a row; IO expander: unread encoder steps"),
        ("active", _U32, 1, "settings the running conversion was started with"),
        ("word", _U32, 16, "16-bit registers, or a display's windows"),
        ("byte", _U8, 256, "8-bit registers"),
    ],
    "request": [
        ("used", _U32, 1, "1 while a process holds it"),
        ("pid", _I32, 1, "that process"),
        ("version", _U32, 1, "1 or 2: of the kernel interface it was made through"),
        ("lines", _U32, 1, "how many"),
        ("pipe_fd", _I32, 1, "descriptor of its event buffer in the creator's process"),
        ("lost", _U32, 1, "events that found the buffer full"),
        ("sequence", _U32, 1, "events so far"),
        ("offset", _U32, REQUEST_LINES, "its lines"),
        ("flags", _U64, REQUEST_LINES, "GPIO_V2_LINE_FLAG_* of each"),
        ("line_sequence", _U32, REQUEST_LINES, "events of each line so far"),
    ],
    "simbus": [
        ("magic", _U32, 1, ""),
        ("creator", _I32, 1, "process whose descriptors the pipes are"),
        ("gpio_label", _U8, 32, "as the kernel names the chip"),
        ("old_kernel", _U32, 1, "1: before 5.10, with the first GPIO interface only, its events in CLOCK_REALTIME"),
        ("level", _U8, LINES, "what each line is driven to from outside, 0 or 1"),
        ("driven", _U8, LINES, "what the program drives it to"),
        ("is_output", _U8, LINES, "1 while the program drives it"),
        ("volts", _F64, NETS, "of each analog node"),
        ("bus", "bus", BUSES, ""),
        ("chip", "chip", CHIPS, ""),
        ("request", "request", REQUESTS, ""),
        ("ram", _U8, DISPLAYS * RAM_BYTES, "display memories"),
    ],
}


def _structures() -> dict[str, type[ctypes.Structure]]:
    made: dict[str, type[ctypes.Structure]] = {}
    for name, fields in STRUCTURES.items():
        members = []
        for field, kind, count, _ in fields:
            kind = made[kind] if isinstance(kind, str) else kind
            members.append((field, kind * count if count > 1 else kind))
        made[name] = type(name, (ctypes.Structure,), {"_fields_": members})
    return made


#: name -> ctypes structure
TYPES = _structures()
Block = TYPES["simbus"]


def c_header() -> str:
    """The same as C, sizes checked by the compiler."""
    lines = ["#pragma once", "#include <stdint.h>", f"#define SB_MAGIC 0x{MAGIC:X}u", f"#define SB_RAM_BYTES {RAM_BYTES}"]
    sizes = {"CHIPS": CHIPS, "BUSES": BUSES, "LINES": LINES, "REQUESTS": REQUESTS, "NETS": NETS}
    lines += [f"#define SB_{name} {value}" for name, value in sizes.items()]
    lines += [f"#define SB_{kind.upper()} {i}" for i, kind in enumerate(KINDS)]
    for name, fields in STRUCTURES.items():
        lines.append(f"struct sb_{name} {{")
        for field, kind, count, meaning in fields:
            c_type = f"struct sb_{kind}" if isinstance(kind, str) else _C[kind]
            lines.append(f"    {c_type} {field}{f'[{count}]' if count > 1 else ''};{f' /* {meaning} */' if meaning else ''}")
        lines += ["};", f'_Static_assert(sizeof(struct sb_{name}) == {ctypes.sizeof(TYPES[name])}, "{name}");']
    return "\n".join(lines) + "\n"
