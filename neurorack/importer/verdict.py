"""What the check of a model found, and what follows: it plays, or it is refused for one reason.

The limits, and why they are where they are:

* ``MOST_LOAD``: the decoder may take 80 % of one core; the rest is the voice's, the kernel's, and a warm day's.
* ``MATCH_LIMIT_DB`` (of the voice): what is louder than the target by more than that is a fault, not a taste. What is softer plays as it is.
* ``MOST_DC``: the voice takes DC away, so a quarter of full scale is tolerated (with a note from ``NOTED_DC`` on); beyond, its headroom is gone.
* ``SEAM_RATIO`` and ``SEAM_DBFS``: a click at each seam, rougher than the same places within longer blocks and loud enough to be heard.
* ``LEAST_SNR_DB``: of a lifted model against its file; below, it is another model, and TorchScript itself plays where it can. A phase kept
  in a 32-bit number drifts with every rounding, in TorchScript as here: what agrees in the first blocks may fall to ``DRIFTED_SNR_DB``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from neurorack.voice.voice import MATCH_LIMIT_DB, TARGET_LUFS

PLAYS, REFUSED = "plays", "refused"
MOST_LOAD = 0.8
MOST_DC, NOTED_DC = 0.25, 0.02
SEAM_RATIO, SEAM_DBFS = 3.0, -60.0
SILENT_DBFS = -90.0
MOST_LEAK_MB_S = 4.0
LEAST_SNR_DB, DRIFTED_SNR_DB = 100.0, 60.0
LARGEST_BLOCK = 8192


@dataclass
class Verdict:
    """One model, one board, one block length. ``to_json`` has every field; those that could not be measured are None.

    ``rtf`` is seconds of audio per second of work, as everywhere here: more is faster. ``block_p99_ms`` and ``core_percent`` are computing
    time, so a busy machine does not change them. ``delay_ms``: from the move of a control to the first change in the sound, at worst: the
    block in which it is collected and the model's own reaction; ``centre_ms`` is where most of the change lies.
    ``seams``: how much rougher the sound is where blocks meet than elsewhere; ``torn``: than at the same places in longer blocks, measured
    where ``seams`` points to clicks. ``reference`` says against what ``snr_db`` was measured: "torchscript" or "interpreter".
    """

    verdict: str
    path: str | None = None
    reason: str = ""
    line: str = ""
    snr_db: float | None = None
    reference: str | None = None
    speedup: float | None = None
    rtf: float | None = None
    core_percent: float | None = None
    block_frames: int | None = None
    block_p99_ms: float | None = None
    delay_ms: float | None = None
    reaction_ms: float | None = None
    centre_ms: float | None = None
    declared_delay_ms: float | None = None
    lufs: float | None = None
    gain_db: float | None = None
    peak_dbfs: float | None = None
    idle_dbfs: float | None = None
    dc: float | None = None
    seams: float | None = None
    torn: float | None = None
    method: str | None = None
    methods: dict = field(default_factory=dict)
    sample_rate_hz: int | None = None
    memory_mb: int | None = None
    notes: list[str] = field(default_factory=list)
    sha256: str | None = None
    layers: list[str] = field(default_factory=list)
    lifted: str | None = None
    seconds: float | None = None

    @property
    def plays(self) -> bool:
        return self.verdict == PLAYS

    @property
    def exit_code(self) -> int:
        return 0 if self.plays else 1

    def to_json(self) -> dict:
        return asdict(self)

    def __post_init__(self):
        self.line = self.line or (self._line() if self.plays else f"refused: {self.reason}")

    def _line(self) -> str:
        parts = [f"{self.core_percent:.0f} % of one core" if self.core_percent >= 1 else "less than 1 % of one core"]
        if self.delay_ms is not None:
            parts.append(f"{self.delay_ms:.0f} ms")
        parts.append("not heard yet" if self.lufs is None else f"{signed(self.lufs)} LUFS")
        return "plays: " + ", ".join(parts) + (f"; {self.reason}" if self.reason else "")


def signed(number: float) -> str:
    """Rounded, with a minus a person would print."""
    return f"{number:.0f}".replace("-", "−")


def refused(reason: str, **known) -> Verdict:
    """A refusal in one line."""
    return Verdict(REFUSED, reason=" ".join(reason.split()), **known)


def fault(measured: dict) -> str | None:
    """Why a measured model may not play; None where it may. ``measured`` is what ``judge`` returns."""
    level, block_ms = measured["levels"], measured["block_ms"]
    if measured["load"] > MOST_LOAD:
        larger = measured["block_frames"] * 2
        advice = f"block {larger} or a smaller model" if larger <= LARGEST_BLOCK else "a smaller model"
        return f"{measured['load'] / MOST_LOAD:.1f}× too slow for this board; try {advice}"
    if measured["p99_ms"] > block_ms:
        return f"it stutters: one block in a hundred takes {measured['p99_ms']:.1f} ms, and lasts {block_ms:.1f} ms; try a larger block"
    if measured["leak_mb_s"] > MOST_LEAK_MB_S:
        return f"its memory grows by {measured['leak_mb_s']:.1f} MB in each second of sound; export it without what it keeps"
    if abs(level["dc"]) > MOST_DC:
        return f"its output is offset by {level['dc']:+.2f} of full scale (at most {MOST_DC:g}); export it without that DC"
    if level["lufs"] is not None and level["lufs"] > TARGET_LUFS + MATCH_LIMIT_DB:
        most = TARGET_LUFS + MATCH_LIMIT_DB
        return (f"it is {level['lufs'] - TARGET_LUFS:.0f} dB too loud ({signed(level['lufs'])} LUFS, peak {level['peak_dbfs']:+.0f} dBFS; at most "
                f"{signed(most)} LUFS can be matched); export it with a lower gain")
    if (measured.get("torn") or 0.0) > SEAM_RATIO:
        return (f"it clicks where blocks meet ({measured['torn']:.0f}× rougher than within longer blocks): it is an offline export; "
                "export it for streaming (cached convolutions)")
    if level["lufs"] is None and level["peak_dbfs"] < SILENT_DBFS:
        return "it stays silent whatever its inputs do"
    return None


def agrees(compared: dict) -> bool:
    """Whether a model is the one in its file, by ``judge.compare``."""
    least = DRIFTED_SNR_DB if compared["start_snr_db"] >= LEAST_SNR_DB else LEAST_SNR_DB
    return compared["snr_db"] >= least


def notes(measured: dict) -> list[str]:
    """What a person should know, though it plays."""
    level, found = measured["levels"], []
    if abs(level["dc"]) > NOTED_DC:
        found.append(f"offset by {level['dc']:+.2f} of full scale; the voice takes it away")
    if level["lufs"] is not None and level["lufs"] < TARGET_LUFS - MATCH_LIMIT_DB:
        found.append(f"softer than can be matched ({signed(level['lufs'])} LUFS)")
    if level.get("idle_dbfs", -120.0) > -40.0 and measured["audio"]:
        found.append(f"sounds at {signed(level['idle_dbfs'])} dBFS while its input is silent")
    late = measured.get("delay")
    if late and measured["declared_frames"] and abs(measured["declared_frames"] - late["reaction"]) > max(measured["in_ratio"], 0.005 * measured["sample_rate_hz"]):
        rate = measured["sample_rate_hz"] / 1000
        found.append(f"declares a delay of {measured['declared_frames'] / rate:.0f} ms and reacts after {late['reaction'] / rate:.0f} ms")
    return found


def gain_db(loudness: float | None) -> float:
    """What the voice will add to match it."""
    return 0.0 if loudness is None else float(min(max(TARGET_LUFS - loudness, -MATCH_LIMIT_DB), MATCH_LIMIT_DB))
