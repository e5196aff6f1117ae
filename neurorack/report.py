"""What a run was like, in numbers: the JSON of ``neurorack play --report``."""

from __future__ import annotations

import numpy as np

from neurorack import causes
from neurorack.shm import table


def histogram_percentile(buckets, percent: float) -> float | None:
    """A percentile of a shared load histogram (buckets 4.4 % wide); None when it is empty."""
    counts = np.asarray(buckets, np.float64)
    if not counts.sum():
        return None
    index = int(np.searchsorted(np.cumsum(counts), counts.sum() * percent / 100))
    return round(2 ** ((index + 0.5) / 16) / 1024, 5)


def latencies_ms(synth) -> np.ndarray:
    """Gate-to-sound times of the last rising edges of gate 1, in milliseconds."""
    count = min(synth.latencies, table.LATENCIES)
    return np.asarray(synth.latency_us[:count], np.float64) / 1000


def play_report(run) -> dict:
    """The report of an ``Instrument`` that has ended; what is not summed is of the slot heard at the end.

    ``underruns`` counts blocks of what was heard: *late* (the synth was late), *stalled* (the whole machine stood still: the
    card's own callback came late), *restart* (a process was being replaced), *device* (the card itself ran dry).
    ``causes`` and ``held_blocks`` name the cause of each (``causes.py``), and of each block replaced by the sound before it.
    ``gate_to_sound_ms``: from the edge to the jack as this run's clock and driver measured it.
    """
    rack, settings, slots = run.rack, run.settings, run.slots
    audio, heard = rack.audio, slots.slots[slots.heard]
    synth = heard.section
    by_cause = causes.totals(rack)
    stalled = sum(slot.watch.stalled_callbacks for slot in slots.slots)
    times = latencies_ms(synth)
    restarts = dict(zip(("audio", "synth", "synth_b", "inputs"), (int(n) for n in rack.run.restarts)))
    restarts["synth"] += restarts.pop("synth_b")
    seconds = run.ended - run.sounding_at if run.sounding_at else 0.0
    return {
        "model": heard.title, "board": run.board["name"], "device": audio.device_name, "rate": settings.rate_hz,
        "block": settings.block_frames, "lead_frames": synth.lead_frames, "seconds": round(seconds, 3), "blocks": audio.blocks,
        "start_seconds": round(run.sounding_at - run.began, 3) if run.sounding_at else None,
        "underruns": {"late": sum(by_cause.values()) - by_cause["died"] - stalled, "stalled": stalled, "restart": by_cause["died"],
                      "device": audio.device_underflows},
        "causes": by_cause, "held_blocks": causes.totals(rack, "held"), "swaps": {"done": slots.swaps_done, "failed": slots.swaps_failed},
        "silent_blocks": audio.silent_blocks, "finished_blocks": int(audio.finished_blocks[slots.heard]),
        "restarts": restarts, "reconnects": audio.reconnects,
        "block_load_median": histogram_percentile(synth.load_histogram, 50), "block_load_p99": histogram_percentile(synth.load_histogram, 99),
        "callback_load_median": histogram_percentile(audio.load_histogram, 50), "callback_load_p99": histogram_percentile(audio.load_histogram, 99),
        "triggers": synth.triggers, "late_edges": synth.late_edges, "lost_edges": synth.lost_edges,
        "takebacks": synth.takebacks, "remade_seconds": round(synth.remade_frames / settings.rate_hz, 3),
        "gate_to_sound_ms": round(float(np.median(times)), 3) if len(times) else None,
        "gate_to_sound_jitter_ms": round(float(np.percentile(times, 99) - np.percentile(times, 1)), 3) if len(times) else None,
        "clipped_frames": audio.clipped_frames, "nan_frames": audio.nan_frames,
        "recorded_seconds": round(audio.captured_frames / settings.rate_hz, 3), "record_dropped_frames": audio.capture_dropped_frames,
    }
