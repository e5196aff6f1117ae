"""Cables into the simulated jacks: every kind of source, plugging, turning, gates and keys by hand, the built-in patch."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurorack.desk.cables import Cables
from neurorack.desk.virtual import KINDS, Source, checked, rhythm, told
from neurorack.errors import NeurorackError, PatchError
from tests.inputs.test_hands import Wires


def played(cables: Cables, seconds: float) -> Wires:
    cables.start()
    time.sleep(seconds)
    cables.finish()
    return cables.wires


def test_the_built_in_patch_makes_music_untouched():
    cables = Cables(Wires(), seed=3)
    cables.play_built_in(True)
    cables.plug("gate1", {"kind": "clock", "bpm": 300, "vary": "on"})      # sixteenths of 50 ms
    wires = played(cables, 1.7)
    ups = [at for at, volts in wires.of("gate1") if volts == 5.0]
    assert 8 < len(ups) < 22, "five to nine hits in sixteen steps"
    for jack in ("cv1", "cv2", "cv3", "cv4"):
        volts = [v for _, v in wires.of(jack)]
        assert len(volts) > 50 and max(abs(v) for v in volts) <= 4 and len(set(volts)) > 50


def test_a_rhythm_is_spread_and_repeatable():
    for hits in range(1, 17):
        at = [i for i, on in enumerate(rhythm(hits, hits)) if on]
        gaps = {(b - a) % 16 or 16 for a, b in zip(at, at[1:] + at[:1])}
        assert len(at) == hits and max(gaps) - min(gaps) <= 1
    for seed in range(20):
        first, again = (Source(checked({"kind": "clock", "vary": "on"}), seed=seed) for _ in range(2))
        bars = [[first.gate(step)[0] for step in range(bar * 64, bar * 64 + 64)] for bar in range(3)]
        assert bars == [[again.gate(step)[0] for step in range(bar * 64, bar * 64 + 64)] for bar in range(3)]
        assert all(5 <= sum(bar[:16]) <= 9 and bar[:16] == bar[16:32] for bar in bars)


def test_a_clock_ticks_at_its_tempo():
    cables = Cables(Wires())
    cables.plug("gate2", {"kind": "clock", "bpm": 300, "per_beat": 4})
    ups = [at for at, volts in played(cables, 1.02).of("gate2") if volts]
    assert 15 <= len(ups) <= 22
    gaps = sorted(b - a for a, b in zip(ups, ups[1:]))
    assert abs(gaps[len(gaps) // 2] - 0.05) < 0.01
    downs = [at for at, volts in cables.wires.of("gate2") if not volts]
    lengths = sorted(down - up for up, down in zip(ups, downs))
    assert 0.005 < lengths[len(lengths) // 2] < 0.03


def test_the_gates_and_volts_of_a_sequencer_are_in_step():
    sequence = {"kind": "sequencer", "bpm": 300, "per_beat": 4, "volts": [1.0, 2.0, 3.0], "gates": [1, 0, 1]}
    cables = Cables(Wires())
    cables.plug("cv2", sequence)
    cables.plug("gate1", sequence)
    wires = played(cables, 1.0)
    changes = [(at, volts) for i, (at, volts) in enumerate(wires.of("cv2")) if i == 0 or volts != wires.of("cv2")[i - 1][1]]
    assert {volts for _, volts in changes} == {1.0, 2.0, 3.0}
    at_gates = [[volts for at, volts in changes if at <= up + 0.02][-1] for up, level in wires.of("gate1") if level]
    assert len(at_gates) > 8 and set(at_gates) == {1.0, 3.0}, "the second step has no gate"


def test_every_kind_goes_into_both_sorts_of_jack():
    for kind in KINDS:
        cables = Cables(Wires())
        cables.plug("cv1", {"kind": kind})
        cables.plug("gate1", {"kind": kind})
        wires = played(cables, 0.2)
        assert cables.told()["jacks"]["cv1"]["from"]["kind"] == kind and wires.of("cv1")
        assert all(-10 <= volts <= 10 for _, volts in wires.of("cv1")) and {volts for _, volts in wires.of("gate1")} <= {0.0, 5.0}
    assert set(told()) == {"lfo", "clock", "keyboard", "sequencer", "random", "voltage"}


def test_a_knob_takes_the_cable_out_and_a_pulled_cable_leaves_nothing():
    cables = Cables(Wires())
    cables.plug("cv1", {"kind": "voltage", "volts": 3})
    cables.turn("cv1", 2.5)
    assert "cv1" not in cables.sources and cables.wires.of("cv1")[-1][1] == 2.5 and cables.told()["jacks"]["cv1"] == {"from": None, "volts": 2.5}
    cables.plug("cv1", {"kind": "voltage", "volts": 3})
    cables.plug("cv1", None)
    assert cables.wires.of("cv1")[-1][1] == 0.0
    cables.gate("gate1", True)
    cables.plug("gate1", {"kind": "voltage", "volts": 5})
    cables.plug("gate1", None)
    assert cables.wires.of("gate1")[-1][1] == 0.0


def test_a_gate_by_hand_is_never_shorter_than_a_contact_bounces():
    cables = Cables(Wires())
    for high in (True, False, True, False):
        cables.gate("gate1", high)
    times = [at for at, _ in cables.wires.of("gate1")]
    assert len(times) == 4 and all(b - a >= 0.0019 for a, b in zip(times, times[1:]))


def test_keys_play_volts_and_a_gate():
    cables = Cables(Wires())
    cables.plug("cv1", {"kind": "keyboard"})
    cables.plug("gate2", {"kind": "keyboard"})
    cables.start()
    for note, high in ((72, True), (48, True), (48, False), (72, False)):
        cables.key(note, high)
        time.sleep(0.06)
    cables.finish()
    volts = list(dict.fromkeys(v for _, v in cables.wires.of("cv1")))
    assert volts[:3] == [0.0, 1.0, -1.0] and cables.wires.of("cv1")[-1][1] == 1.0, "the last key's volts stay"
    assert [v for _, v in cables.wires.of("gate2")] == [5.0, 0.0]


def test_a_turned_rate_keeps_the_phase():
    cables = Cables(Wires())
    cables.plug("cv1", {"kind": "lfo", "rate_hz": 0.25, "shape": "saw"})
    time.sleep(0.3)
    before = cables.sources["cv1"].phase(cables._now())
    cables.plug("cv1", {"kind": "lfo", "rate_hz": 0.9, "shape": "saw"})
    assert abs(cables.sources["cv1"].phase(cables._now()) - before) < 0.05


@pytest.mark.parametrize("source", [7, "lfo", {}, {"kind": "drum"}, {"kind": "lfo", "rate_hz": 1e9}, {"kind": "lfo", "rate_hz": True}, {"kind": "lfo", "speed": 1},
                                    {"kind": "lfo", "volts": float("nan")}, {"kind": "sequencer", "volts": []}, {"kind": "sequencer", "volts": [1] * 17},
                                    {"kind": "sequencer", "volts": ["1"]}, {"kind": "lfo", "shape": "cube"}, {"kind": "lfo", "shape": ["sine"]}])
def test_a_source_that_is_none_is_refused_in_one_line(source):
    cables = Cables(Wires())
    cables.plug("cv1", {"kind": "voltage"})
    with pytest.raises(PatchError) as failed:
        cables.plug("cv1", source)
    assert "\n" not in str(failed.value) and cables.sources["cv1"].kind == "voltage", "what was there stays"
    with pytest.raises(NeurorackError, match="there is no jack"):
        cables.plug("cv9", {"kind": "lfo"})


@given(kind=st.sampled_from(sorted(KINDS)), at=st.floats(0, 1e6), data=st.data())
@settings(max_examples=200, deadline=None)
def test_volts_stay_within_what_the_fields_allow(kind, at, data):
    fields = {}
    for name, field in KINDS[kind].fields.items():
        numbers = st.floats(field.low, field.high)
        fields[name] = data.draw(st.sampled_from(field.choices) if field.choices else st.lists(numbers, min_size=1, max_size=field.most) if field.most else numbers)
    source = Source(checked({"kind": kind, **fields}), seed=1)
    assert abs(source.volts(at, [61], 61)) <= 20 and source.gate_level(at, []) in (0.0, 5.0)
