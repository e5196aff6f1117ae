"""What a board's settings do to real time: buses, overlay, interrupts, isolated core, voltage. Read by ``neurorack doctor``.

Everything is read below ``root`` (the system's, in use), so that a copy of a board's files can be looked at as well. A
computer that is no board has nothing to tune, and is told so in one finding. ``tools/deploy/tune.py`` applies what is safe.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

OK, WARN = "ok", "warn"
BOOT = ("boot/firmware/config.txt", "boot/config.txt")
ISOLATED = "sys/devices/system/cpu/isolated"
THROTTLED = ("sys/devices/platform/soc/soc:firmware/get_throttled", "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled")
#: Bits of the firmware's get_throttled, now and (16 higher) since the start.
THROTTLE_BITS = ("the voltage is too low", "the clock is capped", "it is throttled", "it is at its soft temperature limit")
QUIET_CARDS = ("vc4-hdmi", "bcm2835", "hdmi", "headphones", "tegra-hda")      # a board's own, none of which is the DAC
DAC_WORDS = ("dac", "audio", "codec", "wm8", "pcm")      # in the name of an overlay
APPLY = "deploy.sh --tune applies it"


def finding(name: str, status: str, text: str, remedy: str = "") -> dict:
    return {"name": name, "status": status, "finding": text, "remedy": remedy}


def read(path: Path) -> str:
    """Its text, "" where it cannot be read."""
    try:
        return path.read_text(errors="replace").strip("\0\n ")
    except OSError:
        return ""


def cores(text: str) -> set[int]:
    """The kernel's lists: "2-3,5" -> {2, 3, 5}."""
    found: set[int] = set()
    for part in text.split(",") if text else ():
        low, _, high = part.partition("-")
        found.update(range(int(low), int(high or low) + 1))
    return found


def take_isolated_core(root: Path = Path("/")) -> None:
    """The calling process moves to the cores that the kernel leaves alone, if there are any: for the audio process."""
    with contextlib.suppress(OSError, ValueError):
        if isolated := cores(read(root / ISOLATED)):
            os.sched_setaffinity(0, isolated)


def leave_isolated_core(root: Path = Path("/")) -> None:
    """The calling process keeps off them: told to run on several cores, the kernel may start it on an isolated one and then leaves it there."""
    with contextlib.suppress(OSError, ValueError):
        if others := os.sched_getaffinity(0) - cores(read(root / ISOLATED)):
            os.sched_setaffinity(0, others)


def examine(settings: dict, root: Path = Path("/")) -> list[dict]:
    """Findings about this machine as the board of ``settings`` (a board file, read)."""
    model = read(root / "proc/device-tree/model")
    if not model:
        return [finding("tuning", OK, "no board's settings to look at: this is a computer")]
    return [*check_throttling(root), *check_buses(settings, model, root), *check_dac(model, root), *check_interrupts(root), *check_isolation(root)]


def check_throttling(root: Path) -> list[dict]:
    """Undervoltage and throttling, now and since the start; temperature where only that is known."""
    text = next((text for path in THROTTLED if (text := read(root / path))), "")
    if not text and root == Path("/"):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run(["vcgencmd", "get_throttled"], capture_output=True, text=True, timeout=5)
            text = done.stdout.strip().partition("=")[2] if done.returncode == 0 else ""
    if text:
        bits = int(text, 16)
        now = [what for i, what in enumerate(THROTTLE_BITS) if bits >> i & 1]
        past = [what for i, what in enumerate(THROTTLE_BITS) if bits >> (16 + i) & 1 and what not in now]
        if not bits:
            return [finding("throttling", OK, "never throttled, never short of voltage since the start")]
        words = [*now, *(f"since the start: {what}" for what in past)]
        remedy = "use a 5.1 V supply that gives 3 A (Pi 5: 5 A) and a short cable" if bits & 0x10001 else "use a heat sink, or a fan, and give the case air"
        return [finding("throttling", WARN, "; ".join(words), remedy)]
    heats = [int(heat) / 1000 for path in sorted((root / "sys/class/thermal").glob("thermal_zone*/temp")) if (heat := read(path)).isdigit()]
    if heats and max(heats) > 80:
        return [finding("throttling", WARN, f"{max(heats):.0f} degrees: the clock falls above that", "use a heat sink, or a fan, and give the case air")]
    return [finding("throttling", OK, f"{max(heats):.0f} degrees" if heats else "this board does not tell")]


def wanted_buses(settings: dict) -> tuple[set[int], set[int], int]:
    """The board file's SPI buses, I2C buses, and the fastest I2C clock it asks for, in Hz."""
    parts = [*settings.get("converters", []), settings.get("display") or {}, settings.get("controls") or {}]
    spi, i2c = ({part[kind] for part in parts if kind in part} for kind in ("spi", "i2c"))
    return spi, i2c, max((part.get("speed_hz", 100000) for part in parts if "i2c" in part), default=0)


def check_buses(settings: dict, model: str, root: Path) -> list[dict]:
    """The device nodes that the board file's chips need, and the I2C bus's clock."""
    spi, i2c, speed_hz = wanted_buses(settings)
    pi = "Raspberry" in model
    found = []
    for name, numbers, node, line in (("spi bus", spi, "dev/spidev{}.0", "dtparam=spi=on"), ("i2c bus", i2c, "dev/i2c-{}", "dtparam=i2c_arm=on")):
        for number in sorted(numbers):
            path = root / node.format(number)
            if path.exists():
                found.append(finding(name, OK, f"/{path.relative_to(root)} is there"))
            else:
                remedy = f"put {line} into config.txt ({APPLY}) and start the board anew" if pi else "switch the bus on with jetson-io.py"
                found.append(finding(name, WARN, f"/{path.relative_to(root)} is missing, and board {settings['name']} has chips on it", remedy))
    for number in sorted(i2c):
        try:
            clock_hz = int.from_bytes((root / f"sys/class/i2c-adapter/i2c-{number}/of_node/clock-frequency").read_bytes(), "big")
        except OSError:
            continue
        if clock_hz < speed_hz:
            remedy = f"put dtparam=i2c_arm_baudrate={speed_hz} into config.txt ({APPLY})" if pi else "set clock-frequency of the bus in the device tree"
            found.append(finding("i2c speed", WARN, f"bus {number} runs at {clock_hz // 1000} kHz; the converters want {speed_hz // 1000} kHz", remedy))
        else:
            found.append(finding("i2c speed", OK, f"bus {number} runs at {clock_hz // 1000} kHz"))
    return found


def check_dac(model: str, root: Path) -> list[dict]:
    """A sound card that is not the board's own HDMI or headphone jack."""
    cards = [line for line in read(root / "proc/asound/cards").splitlines() if "]:" in line]
    dacs = [line.partition("]:")[2].strip() for line in cards if not any(quiet in line.lower() for quiet in QUIET_CARDS)]
    if dacs:
        return [finding("dac", OK, dacs[0])]
    config = next((text for name in BOOT if (text := read(root / name))), "")
    overlays = [line.strip() for line in config.splitlines() if line.strip().startswith("dtoverlay=")]
    asked = [line for line in overlays if any(word in line for word in DAC_WORDS)]
    if asked:
        return [finding("dac", WARN, f"config.txt asks for {asked[0]}, but no such card is there",
                        "start the board anew; then look at the wiring of BCK, LRCK, DIN")]
    remedy = f"put dtoverlay=hifiberry-dac into config.txt ({APPLY}) for a PCM5102A" if "Raspberry" in model else "switch the I2S port on with jetson-io.py"
    return [finding("dac", WARN, "there is no DAC among the sound cards", remedy)]


def check_interrupts(root: Path) -> list[dict]:
    """Whether interrupts keep off the cores of the instrument (all but core 0)."""
    lists = [read(path) for path in (root / "proc/irq").glob("[0-9]*/smp_affinity_list")]
    online = cores(read(root / "sys/devices/system/cpu/online"))
    if len(online) < 4 or not lists:
        return []
    anywhere = sum(cores(text) >= online for text in lists if text)
    if anywhere > len(lists) // 4:
        return [finding("interrupts", WARN, f"{anywhere} of {len(lists)} interrupts may come to any core", f"keep them on core 0: {APPLY}")]
    return [finding("interrupts", OK, f"{len(lists) - anywhere} of {len(lists)} interrupts keep off the instrument's cores")]


def check_isolation(root: Path) -> list[dict]:
    """A core that the kernel gives to nobody else; the audio process moves there by itself."""
    isolated = read(root / ISOLATED)
    if isolated:
        return [finding("isolated core", OK, f"core {isolated} is left alone by the kernel; the audio process takes it")]
    return [finding("isolated core", OK, f"none; isolcpus=3 in the kernel's command line gives the audio process one of its own ({APPLY} on a Raspberry Pi)")]
