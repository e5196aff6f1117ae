"""Selection of units: counts are exact, targets are kept, layers are neither emptied nor left with half a panel."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

pytest.importorskip("torch")

from neurorack.lab.trim.select import TrimError, lefts, normalised, parameters, select
from neurorack.trim.units import Group, Member, Unit


def chain(widths, taps=3):
    """(groups, sizes) of convolutions one after another with the given channels; the first and last are in- and outputs."""
    sizes, groups = {}, []
    for k, (ins, outs) in enumerate(zip(widths, widths[1:])):
        sizes |= {f"{k}.weight": (outs, ins, taps), f"{k}.bias": (outs,)}
    for k, width in enumerate(widths[1:-1]):
        groups.append(Group(f"layer {k}", tuple(
            Unit((Member(f"{k}.weight", 0, i, "out"), Member(f"{k}.bias", 0, i, "out"), Member(f"{k + 1}.weight", 1, i, "in")))
            for i in range(width))))
    return groups, sizes


def brute(sizes, removed):
    """Numbers left, counted in arrays that are really cut."""
    total = 0
    for name, shape in sizes.items():
        left = np.zeros(shape)
        for axis in range(len(shape)):
            gone = {m.index for unit in removed for m in unit.members if m.tensor == name and m.axis == axis}
            left = np.delete(left, sorted(gone), axis)
        total += left.size
    return total


def kept(groups, removed):
    """Kept units of each group."""
    gone = set(removed)
    return [sum(unit not in gone for unit in group.units) for group in groups]


nets = st.lists(st.integers(1, 24), min_size=3, max_size=6)
shares = st.integers(0, 99).map(lambda percent: percent / 100)


def scored(groups, seed):
    """Scores of very different sizes from layer to layer."""
    rng = np.random.default_rng(seed)
    return {group.name: rng.random(len(group.units)) * 10.0 ** rng.integers(-4, 5) for group in groups}


@settings(max_examples=40, deadline=None)
@given(nets, st.integers(0, 9), st.data())
def test_parameters_are_counted_with_overlaps(widths, seed, data):
    groups, sizes = chain(widths)
    units = [unit for group in groups for unit in group.units]
    order = [units[k] for k in np.random.default_rng(seed).permutation(len(units))]
    left = lefts(sizes, order)
    assert len(left) == len(order) + 1 and left[0] == sum(math.prod(shape) for shape in sizes.values())
    k = data.draw(st.integers(0, len(order)))
    assert left[k] == parameters(sizes, order[:k]) == brute(sizes, order[:k])


@settings(max_examples=60, deadline=None)
@given(nets, shares, st.sampled_from(["global", "local", "auto"]), st.sampled_from(["max", "mean", "none"]), st.integers(0, 3), st.integers(0, 9))
def test_a_target_is_reached_and_passed_by_less_than_one_unit(widths, share, scope, how, least, seed):
    groups, sizes = chain(widths)
    scores = scored(groups, seed)
    removed = select(scores, groups, sizes, share, scope, how, least=least)
    whole = parameters(sizes)
    gone = whole - brute(sizes, removed)
    assert len(set(removed)) == len(removed)
    assert all(n >= min(least, len(group.units)) for n, group in zip(kept(groups, removed), groups))
    if gone < share * whole - 1e-6:              # not reached: nothing was left to remove
        assert kept(groups, removed) == [min(least, len(group.units)) for group in groups]
    elif removed:
        assert whole - brute(sizes, removed[:-1]) < share * whole      # without the last it would not have been
    for group in groups:                          # in every group the least go
        values = {unit: value for unit, value in zip(group.units, scores[group.name])}
        taken = [values[unit] for unit in group.units if unit in removed]
        assert not taken or max(taken) <= min([values[unit] for unit in group.units if unit not in removed] or [math.inf])


@settings(max_examples=40, deadline=None)
@given(nets, shares, st.integers(0, 9))
def test_by_units_the_count_is_exact(widths, share, seed):
    groups, sizes = chain(widths)
    count = sum(len(group.units) for group in groups)
    removed = select(scored(groups, seed), groups, sizes, share, by="units", least=0)
    assert len(removed) == math.ceil(share * count - 1e-6)


@settings(max_examples=60, deadline=None)
@given(nets, shares, st.sampled_from(["global", "local", "auto"]), st.sampled_from([4, 8]), st.integers(0, 9))
def test_kept_counts_fill_panels_and_never_pass_the_target(widths, share, scope, multiple, seed):
    groups, sizes = chain(widths)
    scores = scored(groups, seed)
    plain = select(scores, groups, sizes, share, scope)
    removed = select(scores, groups, sizes, share, scope, multiple=multiple)
    for n, group in zip(kept(groups, removed), groups):
        assert 2 * n <= multiple or n % multiple == 0 or n == len(group.units)
    assert parameters(sizes, removed) >= parameters(sizes, plain)


def test_panels_that_were_rounded_up_are_made_up_for_elsewhere():
    groups, sizes = chain([4, 64, 64, 4])
    scores = {group.name: np.arange(64.0) + k / 2 for k, group in enumerate(groups)}
    removed = select(scores, groups, sizes, 0.6, multiple=8)
    whole, panel = parameters(sizes), 8 * (64 * 3 + 4 * 3 + 1)
    assert 0.6 * whole - panel < whole - parameters(sizes, removed) < 0.6 * whole + panel / 8


def test_local_takes_the_same_share_of_every_layer_and_global_where_scores_are_low():
    groups, sizes = chain([4, 20, 40, 4])
    scores = {"layer 0": np.linspace(0.9, 1, 20), "layer 1": np.linspace(0, 1, 40)}
    assert kept(groups, select(scores, groups, sizes, 0.5, "local", by="units")) == [10, 20]
    assert kept(groups, select(scores, groups, sizes, 0.5, "global", by="units")) == [20, 10]
    loud = {"layer 0": 1e6 * scores["layer 0"], "layer 1": scores["layer 1"]}
    for how in ("max", "mean"):                   # a layer's scale is no merit
        assert select(loud, groups, sizes, 0.5, "global", how) == select(scores, groups, sizes, 0.5, "global", how)
    assert kept(groups, select(loud, groups, sizes, 0.5, "global", "none", by="units"))[1] == 10


def test_auto_is_global_until_nine_tenths_are_gone_and_local_beyond():
    groups, sizes = chain([2, 100, 100, 2])
    scores = {"layer 0": np.linspace(0.5, 1, 100), "layer 1": np.r_[np.linspace(0, 0.5, 99), 1]}      # one unit stands out: a bottleneck
    chosen = lambda share, scope, **more: set(select(scores, groups, sizes, share, scope, least=2, **more))
    assert chosen(0.8, "auto") == chosen(0.8, "global")
    assert chosen(0.9, "global") <= chosen(0.98, "auto") != chosen(0.98, "global")
    before, after = (kept(groups, chosen(share, "auto")) for share in (0.9, 0.98))
    assert abs(after[0] / before[0] - after[1] / before[1]) < 0.1


def test_shares_are_of_the_original():
    groups, sizes = chain([4, 32, 32, 4])
    scores = scored(groups, 3)
    whole = parameters(sizes)
    half = set(select(scores, groups, sizes, 0.5))
    assert set(select(scores, groups, sizes, 0.75, original=2 * whole)) == half
    assert select(scores, groups, sizes, 0.4, original=2 * whole) == []           # that much is gone already
    most = set(select(scores, groups, sizes, 0.975, "auto", original=20 * whole))
    assert most == set(select(scores, groups, sizes, 0.5, "local"))               # beyond nine tenths


def test_scores_that_are_no_numbers_and_unknown_words_are_told():
    groups, sizes = chain([2, 4, 2])
    good = {"layer 0": np.arange(4.0)}
    with pytest.raises(TrimError, match="1 of 4"):
        select({"layer 0": np.array([1, 2, np.nan, 4])}, groups, sizes, 0.5)
    with pytest.raises(TrimError, match="scope is 'wide'"):
        select(good, groups, sizes, 0.5, "wide")
    with pytest.raises(TrimError, match="share of 1"):
        select(good, groups, sizes, 1.0)
    with pytest.raises(TrimError, match="4 units and 3 scores"):
        select({"layer 0": np.arange(3.0)}, groups, sizes, 0.5)
    assert not normalised({"dead": np.zeros(3)})["dead"].any()
