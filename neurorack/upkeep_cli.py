"""The upkeep part of ``neurorack ctl``: preferences, notices, statistics, settings of the jacks, power."""

from __future__ import annotations

import sys

import yaml

from neurorack.errors import NeurorackError


def register(request) -> None:
    """Add the requests; ``request(name, help)`` makes a parser for one."""
    request("preferences", "what is preferred, and what else could be")
    one = request("preference", "set one preference")
    one.add_argument("name")
    one.add_argument("value")
    request("notices", "what the instrument wants you to know")
    request("notice_seen", "take a notice away").add_argument("id")
    request("statistics", "load, temperature, memory, disk, addresses, versions")
    request("jacks", "the settings of every jack")
    jack = request("jack", "change settings of a jack")
    jack.add_argument("jack")
    jack.add_argument("change", nargs="+", metavar="NAME=VALUE", help="role=clock, range=0..5, scale=minor ...")
    calibrating = request("calibrate", "a step of the calibration that panel and page show (neurorack calibrate is for terminals)")
    calibrating.add_argument("step", nargs="?", choices=("begin", "measure", "skip", "keep", "cancel"))
    calibrating.add_argument("--jack", help="cv1 ... or all (default)")
    detect = request("detect", "a step of the jack detective that panel and page show (neurorack jacks is for terminals)")
    detect.add_argument("step", nargs="?", choices=("begin", "keep"))
    detect.add_argument("--jack", help="cv1, gate2 ... or all (default)")
    detect.add_argument("--seconds", type=float)
    hit = request("hit", "a trigger into a gate, by hand")
    hit.add_argument("gate", nargs="?", default="gate1", choices=("gate1", "gate2"))
    hit.add_argument("--hold", action="store_true", help="up, and down again the next time")
    monitor = request("monitor", "the audio input in the output")
    monitor.add_argument("db", nargs="?", help="in dB, or off; without it, how it stands")
    power = request("power", "switch the module off, or start it anew")
    power.add_argument("what", choices=("shutdown", "reboot"))
    power.add_argument("--yes", action="store_true", help="without asking")
    release = request("release", "change to another installed release")
    release.add_argument("name")
    release.add_argument("--yes", action="store_true", help="without asking")


def _value(text: str):
    """As YAML means it, but off stays a word, and 0..5 too."""
    return text if text in ("off", "on") else yaml.safe_load(text)


def read(args) -> dict | None:
    """The request that these arguments of ours are; None for others'. Raises ``NeurorackError``."""
    if args.do == "preference":
        return {"do": "preference", "name": args.name, "value": _value(args.value)}
    if args.do == "jack":
        changes = {}
        for change in args.change:
            name, equals, value = change.partition("=")
            if not equals or name in ("do", "jack"):
                raise NeurorackError(f"{change!r} is no setting; write NAME=VALUE, as role=clock")
            changes[name] = _value(value)
        return {"do": "jack", "jack": args.jack, **changes}
    if args.do == "monitor":
        return {"do": "monitor"} if args.db is None else {"do": "monitor", "db": None if args.db == "off" else yaml.safe_load(args.db)}
    if args.do in ("power", "release"):
        key = "what" if args.do == "power" else "name"
        _confirm(f"{args.do} {getattr(args, key)}", args.yes)
        return {"do": args.do, key: getattr(args, key)}
    return None


def _confirm(what: str, sure: bool) -> None:
    if sure:
        return
    if not sys.stdin.isatty():
        raise NeurorackError(f"{what}: nobody is there to confirm it; give --yes")
    if input(f"{what} (y/n)? ").strip().lower() != "y":
        raise NeurorackError("nothing was done")


def page(told: dict) -> str | None:
    """An answer of ours for a person; None for others'."""
    if "preferences" in told:
        return "\n".join(f"{name:22} {one['value']} {one['unit']}   ({_may(one)}; {one['doc']})" for name, one in told["preferences"].items())
    if "notices" in told:
        return "\n".join(f"{one['level']}: {one['text']}{'; ' + one['remedy'] if one['remedy'] else ''}   [{one['id']}]" for one in told["notices"]) or "nothing"
    if "cores" in told:
        return _statistics(told)
    for kind in ("calibration", "detective"):
        if kind in told:
            return yaml.safe_dump(told[kind] or "not begun", sort_keys=False).strip()
    if "monitor_db" in told:
        return "monitor: off" if told["monitor_db"] is None else f"monitor: {told['monitor_db']:+.1f} dB"
    if "fields" in told:
        return "\n".join(f"{name:6} " + ", ".join(f"{key} {value}" for key, value in one.items()) for name, one in told["jacks"].items())
    return None


def _may(one: dict) -> str:
    return "|".join(map(str, one["choices"])) if "choices" in one else f"{one['low']}..{one['high']}"


def _statistics(told: dict) -> str:
    heat, memory, disk = told["temperature_c"], told["memory"], told["disk"]
    loads = ", ".join(f"{slot} {100 * load:.0f} %" for slot, load in told["synth_load"].items() if load is not None)
    lines = [
        "cores: " + ", ".join(f"{100 * load:.0f} %" for load in told["cores"]) + f"; audio {100 * told['audio_load']:.0f} %, models {loads}",
        f"temperature: {'not told' if heat is None else f'{heat:g} degrees'}; memory: {memory['ours_bytes'] >> 20} MB ours, "
        f"{memory['free_bytes'] >> 20} of {memory['total_bytes'] >> 20} MB free; disk: {disk['free_bytes'] >> 20} of {disk['total_bytes'] >> 20} MB free",
        f"{told['host']}: " + (", ".join(f"{name} {address}" for name, address in told["addresses"].items()) or "no network"),
        ", ".join(f"{name} {version}" for name, version in told["versions"].items() if version),
        f"playing for {told['uptime_seconds']['instrument']} s, the machine for {told['uptime_seconds']['machine']} s"]
    lines += [f"release {one['name']}{' (runs)' if one['runs'] else ''}" for one in told["releases"]]
    return "\n".join(lines)
