"""The pictures of controls, assign, scenes, record and settings: what is answered in them, and how to come to each from Home."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

from neurorack import preferences
from neurorack.inputs import settings, sources
from neurorack.panel.screens import system
from tools.draw.panel_view import VIEW, with_answers


def _route(jack: str, control: str, amount: float = 0.1, **more) -> dict:
    return {"jack": jack, "control": control, "amount_per_volt": amount, "offset": 0.0, "curve": 1.0, "smooth_ms": 5.0, "latched": False, "low": 0.0, "high": 1.0,
            "quantise": "off", **more}


def _modulators() -> list[dict]:
    set_up = {"mod1": {"kind": "lfo", "shape": "triangle", "rate_hz": 0.25}, "mod2": {"kind": "steps", "steps": [0.0, 1.0, 2.0, -1.0, 3.0, 0.5, 2.0, 1.0], "trigger": "clock"},
              "mod3": {"kind": "envelope"}}
    return [{"name": name, "now_volts": 1.25 if name in set_up else 0.0, **sources.parse(name, set_up.get(name, {}))} for name in sources.MODULATORS]


def _jacks() -> dict:
    made = {name: dataclasses.asdict(settings.parse(name, {})) for name in ("cv1", "cv2", "cv3", "cv4", "gate1", "gate2")}
    made["cv1"] |= {"role": "pitch", "scale": "minor", "root": "D"}
    made["gate2"] |= {"role": "clock"}
    return {"jacks": made, "fields": settings.fields(), "problems": []}


def _point(volts: float) -> dict:
    return {"volts": volts, "before_cents": -240.1 + 24 * volts, "after_cents": 0.3 - 0.1 * volts, "noise_cents": 3.5}


CALIBRATION = {"number": 1, "phase": "verify", "line": "", "error": "", "step": 3, "steps": 3, "failed": {},
               "found": {name: {"gain": 0.98, "offset_volts": 0.196, "points": [_point(0.0), _point(1.0), _point(3.0)]} for name in ("cv1", "cv2", "cv3", "cv4")},
               "live": {name: {"volts": 2.0003, "cents": 0.4} for name in ("cv1", "cv2", "cv3", "cv4")}}
_PATCH = {**CALIBRATION, "phase": "patch", "step": 2, "found": {}, "line": "Patch 1 V into cv1, nothing into the others"}
_BECAUSE = "14 notes that lie 0.8 cents off a grid of 1 V/oct semitones"
DETECTIVE = {"number": 1, "watching": False, "progress": 1.0, "error": "", "kept": ["cv2"], "findings": [
    {"jack": jack, "role": role, "because": _BECAUSE, "settings": {"role": role, "range": "board", "smooth_ms": 4.0, "deadzone_volts": 0.0}, "numbers": {"noise_cents": 3.6}}
    for jack, role in (("cv1", "pitch"), ("cv2", "modulation"), ("cv3", "clock"), ("cv4", "unpatched"), ("gate1", "trigger"), ("gate2", "clock"))]}
TAKES = {"recording": False, "take": None, "seconds": 0.0, "stopped": None, "free_bytes": 20 << 30, "free_seconds": 108000, "folder": "/takes", "takes": [
    {"name": f"take-2026-05-02-{number:03d}.wav", "seconds": seconds, "bytes": round(seconds * 288000), "at": "2026-05-02T06:41:00", "about": "impacts + birds"}
    for number, seconds in ((5, 12.0), (4, 260.0), (3, 3720.0), (2, 9.0), (1, 44.0))]}
STATISTICS = {
    "cores": [0.12, 0.34, 0.05, 0.88], "audio_load": 0.03, "synth_load": {"A": 0.012, "B": None}, "temperature_c": 52.0,
    "memory": {"ours_bytes": 110 << 20, "free_bytes": 3 << 30, "total_bytes": 4 << 30}, "disk": {"free_bytes": 20 << 30, "total_bytes": 32 << 30}, "host": "neurorack",
    "addresses": {"wlan0": "192.168.1.23"}, "uptime_seconds": {"instrument": 4000, "machine": 90000}, "board": "pi",
    "versions": {"neurorack": "0.2.0", "release": "20260501-201400-0.2.0-1773", "python": "3.11.2", "kernel": "6.6.31", "machine": "Raspberry Pi 5"},
    "audio": {"device": "snd_rpi_hifiberry_dac", "rate_hz": 48000, "block_frames": 128, "input_channels": 2},
    "releases": [{"name": "20260501-201400-0.2.0-1773", "runs": True}, {"name": "20260401-101000-0.1.9-2291", "runs": False}], "power": ""}
system.__version__ = STATISTICS["versions"]["neurorack"]      # a new release does not change the pictures
NOTICES = [{"id": "1", "text": "birds: plays: 4 % of one core, 43 ms, −18 LUFS", "remedy": "play it: Models", "level": "info", "at_ns": 1, "count": 1},
           {"id": "2", "text": "a converter or gate line of the board does not answer; its jacks hold their last values", "remedy": "look at its plug and wires",
            "level": "warning", "at_ns": 1, "count": 3}]
MIDI = {"ports": ["Keystep 37"], "zones": {}, "learned": {"brightness": {"source": "cc 21, channel 1", "low": 0, "high": 1}},
        "voice": {"channel": "all", "mode": "retrigger", "bend_semitones": 2.0, "mpe_members": 0, "pitch": "cv1", "velocity": "cv2", "pressure": "cv3", "wheel": "cv4",
                  "pedal": "gate2"}}
SCENES = [{"number": number, "name": name, "models": {"A": "impacts", "B": "birds"}, "missing": missing, "saved_at": "2026-05-02T06:40:00"}
          for number, name, missing in ((1, "Dusk", []), (2, "Low bells", []), (3, "Ice over water", ["birds"]), (5, "Storm", []))]
LOG = ["20:14:07 impacts plays on snd_rpi_hifiberry_dac, 48000 Hz in blocks of 128, board pi", "20:14:07 it wakes as it was", "20:16:30 recording into take-2026-05-02-005.wav"]

FACE = with_answers(
    VIEW, status={"job": None, "web": {"address": "http://192.168.1.23:8042/", "listening": True}, "patch": {
        "knobs": {}, "gates": {"gate1": "trigger", "gate2": "freeze"},
        "routes": [_route("cv1", "gesture", 0.11), _route("cv2", "loudness", 0.05), _route("cv3", "brightness"), _route("cv4", "decay"), _route("mod1", "brightness", -0.05)]}},
    sources={"sources": _modulators(), "kinds": sources.kinds()}, jacks=_jacks(), takes=TAKES, midi={"midi": MIDI}, statistics=STATISTICS, log={"lines": LOG},
    scenes={"scenes": SCENES, "current": 2, "changed": True, "undo": "set brightness", "redo": None, "morph": None}, monitor={"monitor_db": None, "input_channels": 2},
    preferences={"preferences": {name: one.told(one.default) for name, one in preferences.TABLE.items()}}, pairing={"code": "483921"})
RECORDING = replace(with_answers(FACE, takes={**TAKES, "recording": True, "take": "take-2026-05-02-006.wav", "seconds": 754.2}), recording=True)
MORPHING = with_answers(FACE, scenes={**FACE.answer("scenes"), "morph": {"from": 1, "to": 3, "value": 0.3}})
NOTED = with_answers(FACE, notices={"notices": NOTICES})

#: As requests are answered in them.
ANSWERS = {
    "calibrate": lambda request: {"calibration": CALIBRATION if request.get("step") != "begin" else _PATCH}, "detect": {"detective": DETECTIVE},
    "power": {"text": ""}, "release": {"text": "release 0.1.9 starts now"}, "record": {"seconds": 12.0}, "learn": "nothing was moved"}

#: Name, script, view, caption; see ``screens.Shot``.
SHOTS = [
    ("controls", "p 2 p", FACE, "Controls: a tick where the knob stands, a bar to what the jacks make of it, and that as a number"),
    ("control", "p 2 p 1 p", FACE, "One control: its knob, how far it drives, what moves it; a jack or a MIDI controller is learned by moving it"),
    ("control-knob", "p 2 p 1 p p 3", FACE, "Its knob; the mark is what comes out"),
    ("control-learn-jack", "p 2 p 1 p 5 p", FACE, "Learning a jack: the one that moves first"),
    ("control-learn-midi", "p 2 p 1 p 7 p", FACE, ""),
    ("level", "p 2 p 20 p", FACE, ""),
    ("route", "p 2 p 1 p 2 p", FACE, "A route: amount, offset, its ends, curve, smoothing, quantiser"),
    ("route-amount", "p 2 p 1 p 2 p p", FACE, "How far it moves the control for each volt"),
    ("route-quantise", "p 2 p 1 p 2 p 6 p", FACE, ""),
    ("origins", "p 2 p 1 p 4 p", FACE, ""),
    ("assign", "p 3 p", FACE, "Assign: every jack, both gates, eight modulators, and what a hand does on Home"),
    ("assign-jack", "p 3 p 2 p", FACE, "A jack: what it moves, and its settings"),
    ("assign-targets", "p 3 p 2 p 1 p", FACE, ""),
    ("assign-gate", "p 3 p 4 p p", FACE, "What a gate does"),
    ("assign-home", "p 3 p 14 p", FACE, "What turning on Home moves"),
    ("modulator", "p 3 p 6 p", FACE, "A modulator: its kind, its settings, its voltage now"),
    ("modulator-kind", "p 3 p 6 p p", FACE, ""),
    ("modulator-steps", "p 3 p 7 p 1 p 2 p", FACE, "The step sequencer: turn to a step, press, turn its voltage"),
    ("modulator-rate", "p 3 p 6 p 3 p", FACE, ""),
    ("scenes", "p 4 p", FACE, "Scenes: a press recalls; holding for 1 s opens what else can be done"),
    ("scene", "p 4 p 1 s", FACE, "Rename, copy, delete, save"),
    ("scene-name", "p 4 p 1 s 2 p 3", FACE, "A name, letter by letter"),
    ("scene-delete", "p 4 p 1 s 4 p", FACE, "What cannot be undone is asked twice"),
    ("morph", "p 4 p -2 p", MORPHING, "Morph: by hand, by the clock, by a jack"),
    ("morph-none", "p 4 p -2 p", FACE, ""),
    ("record", "p 5 p", FACE, "Record: a press begins and ends a take; below it the takes"),
    ("record-on", "p 5 p", RECORDING, "While it records"),
    ("take", "p 5 p 2 p", FACE, "One take"),
    ("settings", "p 6 p", FACE, "Settings"),
    ("sound", "p 6 p p", FACE, "Sound: level and monitor, and what it plays on"),
    ("midi", "p 6 p 1 p", FACE, "MIDI and OSC"),
    ("clock", "p 6 p 2 p", FACE, "Clock: tap, or make a gate jack one"),
    ("jacks", "p 6 p 3 p", FACE, "Jacks: calibration, the detective, each jack's settings"),
    ("jack", "p 6 p 3 p 2 p", FACE, "A jack's range, smoothing and quantiser"),
    ("calibrate-patch", "p 6 p 3 p p p", FACE, "Calibration asks for one voltage after the other"),
    ("calibrate-verify", "p 6 p 3 p p p", with_answers(FACE, calibrate={"calibration": CALIBRATION}), "and shows what it came to, in cents, before anything is kept"),
    ("detective", "p 6 p 3 p 1 p", FACE, "The detective: what is patched into each jack; a press shows why, and accepts"),
    ("finding", "p 6 p 3 p 1 p p", FACE, ""),
    ("display", "p 6 p 4 p", FACE, "Display"),
    ("network", "p 6 p 5 p", FACE, "Network: the page's address; a press on the pairing code shows it large"),
    ("pairing", "p 6 p 5 p 3 p", FACE, "Pairing"),
    ("notices", "h 6 p", NOTED, "Notices: what happened; a press says what to do"),
    ("statistics", "p 6 p 7 p", FACE, "Statistics: each core, the callback, the models, and below them temperature, memory, disk, addresses, versions"),
    ("log", "p 6 p 8 p", FACE, "The log"),
    ("updates", "p 6 p 9 p", FACE, "Updates: another installed release"),
    ("power", "p 6 p 10 p p 1", FACE, "Power: asked twice"),
    ("goodbye", "p 6 p 10 p p 1 p", FACE, ""),
    ("about", "p 6 p 11 p", FACE, ""),
]
