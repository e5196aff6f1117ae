"""``neurorack doctor``: looks at everything a run depends on; each finding names its remedy."""

from __future__ import annotations

import grp
import os
import resource
import shutil
import sys
import threading
import time
from pathlib import Path

from neurorack import library
from neurorack.errors import NeurorackError

OK, WARN, FAIL = "ok", "warn", "fail"
STALL_TEST_SECONDS, STALL_WARN_MS = 1.0, 3.0
LOW_DISK_BYTES = 200 << 20


def finding(name: str, status: str, text: str, remedy: str = "") -> dict:
    return {"name": name, "status": status, "finding": text, "remedy": remedy}


def check_python() -> list[dict]:
    version = ".".join(map(str, sys.version_info[:3]))
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        return [finding("python", FAIL, f"Python {version}", "use Python 3.11, 3.12 or 3.13: make setup PYTHON=python3.13")]
    return [finding("python", OK, f"Python {version}")]


def check_core() -> list[dict]:
    try:
        from neurorack.engine import isa

        return [finding("core", OK, f"the compiled core is there, with kernels for {isa()}")]
    except (ImportError, OSError, AttributeError) as error:
        return [finding("core", FAIL, str(error), "make setup (or: python -m neurorack.build_core --force)")]


def check_audio() -> list[dict]:
    """PortAudio, the default output and the rates it plays."""
    from neurorack.audio.devices import choose, output_names, portaudio

    try:
        sd = portaudio()
    except NeurorackError as error:
        return [finding("audio", WARN, str(error), "sudo apt-get install libportaudio2; until then the instrument plays into its null device")]
    found = choose(sd, None)
    if found is None:
        return [finding("audio", WARN, "there is no sound card with two output channels", "plug one in, or load its driver (a Pi's DAC needs its dtoverlay); until then the instrument plays into its null device")]
    results = [finding("audio", OK, f"plays on {found[1]!r}; outputs: {', '.join(output_names(sd))}")]
    for rate in (44100, 48000, 96000):
        try:
            sd.check_output_settings(device=found[0], channels=2, dtype="float32", samplerate=rate)
        except (sd.PortAudioError, ValueError) as error:
            status = WARN if rate == 48000 else OK
            results.append(finding("audio rate", status, f"{found[1]!r} does not play {rate} Hz ({str(error).splitlines()[0]})",
                                   "choose another --device, or another --rate" if status == WARN else ""))
    return results


def check_scheduling() -> list[dict]:
    """May the audio threads run in real time?"""
    outcome = {}

    def attempt():     # in a thread of its own, so that this process keeps its scheduling
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(80))
            outcome["ok"] = True
        except OSError as error:
            outcome["error"] = error.strerror

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    if outcome.get("ok"):
        results = [finding("scheduling", OK, "the audio threads may run in real time (SCHED_FIFO)")]
    else:
        results = [finding("scheduling", WARN, f"real-time scheduling is refused ({outcome['error']})",
                           "add yourself to the group audio and the line '@audio - rtprio 95' to /etc/security/limits.conf, then log in again")]
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft != resource.RLIM_INFINITY and soft < 64 << 20:
        results.append(finding("locked memory", OK, f"at most {soft >> 10} kB of memory may be locked; the instrument does not need it"))
    return results


def check_cpu() -> list[dict]:
    """The CPU's governor."""
    governors = {path.read_text().strip() for path in Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")}
    results = []
    if governors and governors != {"performance"}:
        results.append(finding("cpu governor", WARN, f"the CPU's speed follows the load ({', '.join(sorted(governors))}): blocks take longer after a rest",
                               "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor (deploy.sh --tune does so at each boot)"))
    elif governors:
        results.append(finding("cpu governor", OK, "performance"))
    else:
        results.append(finding("cpu governor", OK, "this machine has no speed setting"))
    return results


def check_stalls() -> list[dict]:
    """The longest pause of a thread that asks to wake every half millisecond."""
    worst, last, end = 0.0, time.perf_counter(), time.perf_counter() + STALL_TEST_SECONDS
    while last < end:
        time.sleep(0.0005)
        now = time.perf_counter()
        worst, last = max(worst, now - last - 0.0005), now
    if worst * 1000 > STALL_WARN_MS:
        return [finding("stalls", WARN, f"this machine stood still for {worst * 1000:.1f} ms within {STALL_TEST_SECONDS:.0f} s",
                        "end other heavy programs; if it stays so, use a larger --block, or --lead above that time (10 ms now)")]
    return [finding("stalls", OK, f"longest pause {worst * 1000:.1f} ms within {STALL_TEST_SECONDS:.0f} s")]


def check_buses() -> list[dict]:
    """I2C, SPI and GPIO device nodes and the right to open them."""
    results = []
    for name, pattern, group in (("i2c", "i2c-*", "i2c"), ("spi", "spidev*", "spi"), ("gpio", "gpiochip*", "gpio")):
        nodes = sorted(Path("/dev").glob(pattern))
        if not nodes:
            results.append(finding(name, OK, f"no {name.upper()} bus on this machine; the simulated board needs none"))
            continue
        closed = [node.name for node in nodes if not os.access(node, os.R_OK | os.W_OK)]
        if closed:
            exists = any(g.gr_name == group for g in grp.getgrall())
            remedy = f"sudo usermod -aG {group} $USER, then log in again" if exists else "run as a user that may open it"
            results.append(finding(name, WARN, f"no permission for {', '.join(closed)}", remedy))
        else:
            results.append(finding(name, OK, ", ".join(node.name for node in nodes)))
    return results


def check_board() -> list[dict]:
    from neurorack.drivers import board

    name, warning = board.detect()
    chips = board.answering(board.load(name))
    return [finding("board", OK, warning or f"board {name}", ""),
            *(finding(chip, WARN if why else OK, why or "answers", "check its supply, its wires and its address" if why else "") for chip, why in chips.items())]


def check_tuning() -> list[dict]:
    """What a board's own settings do to real time."""
    from neurorack import tuning
    from neurorack.drivers import board

    try:
        settings = board.load(board.detect()[0])
    except NeurorackError as error:
        return [finding("tuning", WARN, str(error), "give a board that is there with --board")]
    return tuning.examine(settings)


def check_service() -> list[dict]:
    """How the last start as a service went."""
    from neurorack import service
    from neurorack.library import files

    folder = service.state_folder()
    told = files.read_json(folder / service.STARTS)
    if told.get("safe_mode"):
        return [finding("service", WARN, f"safe mode at {told.get('at', '?')}: {told['safe_mode']}",
                        f"look at journalctl -u neurorack, mend {folder / service.OPTIONS} or the model, then systemctl restart neurorack")]
    return [finding("service", OK, "the last start was a usual one" if told else "it has not been started as a service")]


def check_models() -> list[dict]:
    """Every model of the library: does it load, and is it fast enough here?"""
    from neurorack.bench import measure_voice
    from neurorack.importer.players import load_model

    results = []
    for name, path in library.available().items():
        try:
            model = load_model(path)
            row = measure_voice(model, 128)
        except NeurorackError as error:
            results.append(finding(f"model {name}", WARN, str(error), "remove the file, or export it again"))
            continue
        load = 100 * row["load_p99"]
        status = OK if load < 60 else WARN
        results.append(finding(f"model {name}", status, f"takes {100 * row['load_median']:.1f} % of one core at block {row['block_frames']} (99 %: {load:.1f} %)",
                               "" if status == OK else "use a larger --block or a smaller model"))
    return results or [finding("models", FAIL, "there is no model", "get the factory model: git checkout models/")]


def check_disk() -> list[dict]:
    data = library.folders()[0]
    place = next(p for p in (data, *data.parents) if p.exists())
    free = shutil.disk_usage(place).free
    if free < LOW_DISK_BYTES:
        return [finding("disk", WARN, f"{free >> 20} MB free at {place}", "free some space: recordings and models need it")]
    return [finding("disk", OK, f"{free >> 30} GB free for models and recordings")]


def check_midi() -> list[dict]:
    from neurorack.remote.ports import unavailable

    if why := unavailable():
        return [finding("midi", OK, f"MIDI is off: {why[0]}", why[1])]
    return [finding("midi", OK, "MIDI ports are opened as they come")]


def examine() -> list[dict]:
    """All findings: ``name``, ``status`` (ok, warn, fail), ``finding``, ``remedy``."""
    checks = (check_python, check_core, check_audio, check_scheduling, check_cpu, check_stalls, check_buses, check_board, check_tuning, check_service, check_models, check_midi, check_disk)
    return [result for check in checks for result in check()]


def table(findings: list[dict]) -> str:
    """The findings for a person."""
    marks = {OK: " ok ", WARN: "warn", FAIL: "FAIL"}
    lines = []
    for f in findings:
        lines.append(f"[{marks[f['status']]}] {f['name']}: {f['finding']}")
        if f["remedy"]:
            lines.append(f"       -> {f['remedy']}")
    return "\n".join(lines)
