"""The jack detective: looks at what a jack did for a few seconds and says what is patched into it, with numbers.

It proposes; whoever asked keeps it or not. Volts are calibrated, before smoothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from neurorack.errors import BoardError
from neurorack.inputs.calibration import CENTS
from neurorack.inputs.settings import RANGES

WINDOW_NS = 25_000_000           # within it a held voltage shows its noise and a sound its swing
LEAST_SCANS = 100
QUIET_VOLTS, ZERO_VOLTS = 0.04, 0.02      # a jack that moves less stands still; so near to 0 V it may be open
LEVEL_VOLTS, LOW_VOLTS, HIGH_VOLTS = 1.5, 1.0, 1.6   # a gate: two levels this far apart, below the first, above the second
TRIGGER_SECONDS, EVEN_SHARE, LEAST_PULSES = 0.02, 0.1, 4
SOUND_HZ = 20.0
LEAST_NOTES, HELD_VOLTS = 4, 0.015        # notes of a pitch; how much one may move while it is held
ON_GRID = 0.8                             # how well notes lie on a grid: length of their mean on the circle, 0..1
PITCH_NOISE_VOLTS, OTHER_NOISE_VOLTS = 1 / CENTS, 0.003    # what smoothing should leave


@dataclass
class Finding:
    """``settings`` for ``settings.parse``; ``numbers`` for people and programs."""

    jack: str
    role: str
    because: str
    settings: dict = field(default_factory=dict)
    numbers: dict = field(default_factory=dict)


def _windows(ns: np.ndarray, volts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and noise (deviation from a straight line) of each window: float64 [windows] each."""
    index = (ns - ns[0]) // WINDOW_NS
    means, noises = [], []
    for part in np.split(np.arange(len(ns)), np.flatnonzero(np.diff(index)) + 1):
        if len(part) >= 4:
            at, v = (ns[part] - ns[part[0]]) / 1e9, volts[part]
            line = np.polyval(np.polyfit(at, v, 1), at) if np.ptp(at) > 0 else v.mean()
            means.append(v.mean())
            noises.append(np.sqrt(np.mean((v - line) ** 2)))
    return np.array(means), np.array(noises)


def _noise(ns: np.ndarray, volts: np.ndarray) -> float:
    """Deviation of the noise: what the quiet windows show, or, where the voltage never rests, what bends from conversion to conversion.

    The sharpest fifth of the bends are steps, not noise; the rest of a normal distribution deviates by 0.66 of its whole."""
    _, noises = _windows(ns, volts)
    fresh = volts[np.concatenate(([True], np.diff(volts) != 0))]
    bends = np.sort(np.abs(np.diff(fresh, 2)))[: int(0.8 * max(0, len(fresh) - 2))]
    found = [float(np.percentile(noises, 20))] if len(noises) else [float(np.std(volts))]
    if len(bends) > LEAST_SCANS:
        found.append(float(np.sqrt(np.mean(bends ** 2))) / 0.66 / np.sqrt(6))
    return float(min(found))


def _crossings(volts: np.ndarray, low: float, high: float) -> np.ndarray:
    """Indices where the volts rise through the middle, with hysteresis."""
    state = np.zeros(len(volts), np.int8)
    state[volts > high], state[volts < low] = 1, -1
    known = np.flatnonzero(state)
    turns = np.flatnonzero((state[known][1:] == 1) & (state[known][:-1] == -1))
    return known[turns + 1]


def _pulses(ns: np.ndarray, volts: np.ndarray, middle: float, swing: float) -> tuple[np.ndarray, np.ndarray]:
    """Times of the rises and lengths of the highs between two edges, in seconds."""
    rises = _crossings(volts, middle - 0.1 * swing, middle + 0.1 * swing)
    falls = _crossings(-volts, -middle - 0.1 * swing, -middle + 0.1 * swing)
    at, down = (ns[rises] - ns[0]) / 1e9, (ns[falls] - ns[0]) / 1e9
    lengths = [down[down > up][0] - up for up in at if (down > up).any()]
    return at, np.array(lengths)


def _rhythm(rises: np.ndarray) -> tuple[bool, float]:
    """Whether these come as evenly as a clock, and the median time between two."""
    if len(rises) < 2:
        return False, 0.0
    gaps = np.diff(rises)
    spread = np.percentile(gaps, 90) - np.percentile(gaps, 10)
    return len(rises) >= LEAST_PULSES and spread < EVEN_SHARE * np.median(gaps), float(np.median(gaps))


def _range(low: float, high: float) -> str:
    """The smallest range that holds these volts."""
    for name in ("0..5", "-5..5", "0..8", "0..10", "-10..10"):
        bottom, top = RANGES[name]
        if low >= bottom - 0.1 and high <= top + 0.1:
            return name
    return "board"


def _smooth_ms(noise_volts: float, wanted_volts: float, scan_ns: float) -> float:
    """Time constant after which ``wanted_volts`` of the noise are left, 1..30 ms."""
    return float(np.clip(np.ceil(scan_ns / 2e6 * (noise_volts / wanted_volts) ** 2), 1, 30))


def _fresh_ns(ns: np.ndarray, volts: np.ndarray) -> float:
    """Time between two conversions: scans may come oftener than the converter has something new."""
    changes = np.count_nonzero(np.diff(volts))
    scan = (ns[-1] - ns[0]) / (len(ns) - 1)
    return scan if changes > 0.4 * len(ns) else min(scan * len(ns) / max(changes, 1), 8 * scan)


def _notes(ns: np.ndarray, volts: np.ndarray, noise: float) -> tuple[np.ndarray, float]:
    """Levels that were held, in order, and the share of windows in which one was."""
    means, noises = _windows(ns, volts)
    flat = noises < min(max(3 * noise, 0.004), HELD_VOLTS)
    notes: list[list[float]] = []
    for i, mean in enumerate(means):
        if not flat[i]:
            continue
        if notes and i and flat[i - 1] and abs(mean - notes[-1][-1]) < 0.02:
            notes[-1].append(mean)
        else:
            notes.append([mean])
    return np.array([np.median(note) for note in notes if len(note) >= 2]), float(np.mean(flat)) if len(flat) else 0.0


def _grid(notes: np.ndarray, volts_per_octave: float) -> tuple[float, float]:
    """How well these lie on a semitone grid of any tuning (0..1), and their mean distance from it in cents."""
    angles = 2 * np.pi * 12 * notes / volts_per_octave
    mean = np.mean(np.exp(1j * angles))
    off = np.angle(np.exp(1j * (angles - np.angle(mean)))) / (2 * np.pi) * 100
    return float(abs(mean)), float(np.mean(np.abs(off)))


def look_at_cv(jack: str, ns: np.ndarray, volts: np.ndarray, cv: dict) -> Finding:
    """What a CV jack carries.

    Args:
        ns, volts: its scans, int64 [n] and float [n], a few seconds.
        cv: the board file's ``cv`` section.
    Raises ``BoardError`` when there are too few scans.
    """
    if len(ns) < LEAST_SCANS:
        raise BoardError(f"{jack}: only {len(ns)} scans came; at least {LEAST_SCANS} are needed to tell anything")
    if not np.isfinite(volts).all():
        raise BoardError(f"{jack} has never been converted: its converter does not answer; `neurorack doctor` says why")
    volts = volts.astype(float)
    low, high = (float(v) for v in np.percentile(volts, (0.2, 99.8)))
    swing = high - low
    noise = _noise(ns, volts)
    numbers = {"low_volts": round(low, 4), "high_volts": round(high, 4), "noise_volts": round(noise, 5), "noise_cents": round(CENTS * noise, 2)}
    scan_ns = _fresh_ns(ns, volts)

    def found(role: str, because: str, **settings) -> Finding:
        return Finding(jack, role, because, {"role": role, **settings}, numbers)

    modulation = {"range": _range(low, high), "smooth_ms": _smooth_ms(noise, OTHER_NOISE_VOLTS, scan_ns),
                  "deadzone_volts": round(float(np.clip(2 * noise, 0.005, 0.05)), 3)}
    mean, open_volts = float(np.mean(volts)), cv.get("unpatched_volts", 0.0)
    if swing < max(QUIET_VOLTS, 8 * noise) and swing < LEVEL_VOLTS:
        if abs(mean - open_volts) < ZERO_VOLTS:
            return found("unpatched", f"it stands at {mean:+.3f} V, as an open jack does")
        return found("modulation", f"it stands still at {mean:+.3f} V", **modulation | {"range": "board"})
    middle = (low + high) / 2
    if swing > LEVEL_VOLTS and low < LOW_VOLTS and high > HIGH_VOLTS and np.mean(np.abs(np.abs(volts - middle) - swing / 2) < 0.15 * swing) > 0.9:
        finding = _two_levels(found, numbers, ns, volts, low, high)
        if finding:
            return finding
    cycles = float(len(_crossings(volts, middle - 0.15 * swing, middle + 0.15 * swing)) / ((ns[-1] - ns[0]) / 1e9))
    numbers["cycles_per_second"] = round(cycles, 2)
    if cycles > SOUND_HZ:
        return found("audio", f"it swings {cycles:.0f} times a second: a sound, patch it into the audio input",
                     range=_range(low, high), smooth_ms=0.0)
    notes, held = _notes(ns, volts, noise)
    if len(notes) >= LEAST_NOTES and held > 0.5:
        quality, octave = max((_grid(notes, octave)[0], octave) for octave in (1.0, 1.2))
        if quality > ON_GRID and np.ptp(notes) > 0.06:
            off = _grid(notes, octave)[1]
            numbers |= {"notes": len(notes), "cents_off": round(off, 2), "volts_per_octave": octave}
            return found("pitch", f"{len(notes)} notes that lie {off:.1f} cents off a grid of {octave:g} V/oct semitones", range="board",
                         smooth_ms=_smooth_ms(noise, PITCH_NOISE_VOLTS, scan_ns), deadzone_volts=0.0, volts_per_octave=octave)
    pace = f", {cycles:.1f} times a second" if cycles > 0.4 else " slowly"
    return found("modulation", f"it moves between {low:+.2f} and {high:+.2f} V{pace}", **modulation)


def _two_levels(found, numbers: dict, ns: np.ndarray, volts: np.ndarray, low: float, high: float) -> Finding | None:
    """A gate, trigger or clock in a CV jack; None when it is a sound or never rises."""
    rises, lengths = _pulses(ns, volts, (low + high) / 2, high - low)
    seconds = (ns[-1] - ns[0]) / 1e9
    if not len(rises) or len(rises) / seconds > SOUND_HZ:
        return None
    even, gap = _rhythm(rises)
    numbers |= {"pulses": len(rises), "rise_volts": round(low + 0.35 * (high - low), 2), "fall_volts": round(low + 0.2 * (high - low), 2)}
    about = (f"{len(rises)} pulses between {low:+.1f} and {high:+.1f} V (thresholds {numbers['rise_volts']:g} and {numbers['fall_volts']:g} V); "
             "patch it into a gate jack")
    if even:
        numbers["period_ms"] = round(1000 * gap, 2)
        return found("clock", f"even every {1000 * gap:.0f} ms, {about}", smooth_ms=0.0, range=_range(low, high))
    short = len(lengths) > 0 and np.median(lengths) <= TRIGGER_SECONDS
    return found("trigger" if short else "gate", about, smooth_ms=0.0, range=_range(low, high))


def look_at_gate(jack: str, edges: list[tuple[int, bool]], seconds: float) -> Finding:
    """What a gate jack carries: ``edges`` are ``(ns, rising)`` in order of time."""
    rises = np.array([ns for ns, rising in edges if rising]) / 1e9
    if not len(rises):
        return Finding(jack, "unpatched", f"no edge came in {seconds:g} s", {})
    lengths = [later - at for (at, rising), (later, _) in zip(edges, edges[1:]) if rising]
    length = float(np.median(lengths)) / 1e9 if lengths else seconds
    even, gap = _rhythm(rises)
    numbers = {"pulses": len(rises), "length_ms": round(1000 * length, 2)}
    about = f"{len(rises)} pulses of {1000 * length:.1f} ms"
    if even:
        pulses_per_beat = next((p for p in (4, 1, 2, 24, 8, 48) if 60 <= 60 / (gap * p) <= 200), 4)
        bpm = 60 / (gap * pulses_per_beat)
        numbers |= {"period_ms": round(1000 * gap, 3), "tempo_bpm": round(bpm, 2)}
        return Finding(jack, "clock", f"{about}, even every {1000 * gap:.1f} ms: {bpm:.1f} BPM at {pulses_per_beat} pulses a beat",
                       {"role": "clock", "pulses_per_beat": pulses_per_beat}, numbers)
    return Finding(jack, "trigger" if length <= TRIGGER_SECONDS else "gate", about, {"role": "gate"}, numbers)
