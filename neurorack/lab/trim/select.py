"""Which units go: from scores to a list of units, in all layers together ("global") or the same share of each ("local").

Global selection lets scores of different layers compete, so they are brought to one scale first (`normalise`). It serves well until
some layer is left so thin that nothing passes; from about 90 % on the same share of every layer is better (Esling et al., "Diet deep
generative audio models with structured lottery", DAFx 2020): "auto" goes over from one to the other there.

A group is a set of units made by the same layers (``neurorack.trim.units``); only its name and units are read here.
"""

import math

import numpy as np

from ...trim.labels import TrimError

SCOPES = ("global", "local", "auto")
NORMALISATIONS = ("max", "mean", "none")
COUNTED = ("parameters", "units")
LOCAL_FROM = 0.9            # share removed, from which on "auto" takes the same of every layer
LEAST = 1                   # units that every group keeps


def one_of(value, allowed, what):
    """`value`, if it is allowed; else TrimError."""
    if value not in allowed:
        raise TrimError(f"{what} is {value!r}: one of {', '.join(allowed)} belongs there")
    return value


def normalised(scores, how="max"):
    """Scores of all groups on one scale: over the largest or the mean size of their group ("max", "mean"), or as they are ("none").

    A group of nothing but zeros stays so. TrimError where a score is no number.
    """
    one_of(how, NORMALISATIONS, "normalise")
    scale = {"max": np.max, "mean": np.mean, "none": lambda sizes: 1.0}[how]
    out = {}
    for name, values in scores.items():
        values = np.asarray(values, np.float64)
        if not np.isfinite(values).all():
            raise TrimError(f"the scores of {name} are not all numbers: {np.sum(~np.isfinite(values))} of {len(values)} are not; "
                            "take another criterion or other batches")
        out[name] = values / (scale(np.abs(values)) or 1.0) if len(values) else values
    return out


def parameters(sizes, removed=()):
    """Numbers left in tensors of `sizes` (name → shape) without the units `removed`; what two units share is counted once."""
    gone = {}
    for unit in removed:
        for member in unit.members:
            gone.setdefault(member.tensor, {}).setdefault(member.axis, set()).add(member.index)
    return sum(math.prod(n - len(gone.get(name, {}).get(axis, ())) for axis, n in enumerate(shape)) for name, shape in sizes.items())


def lefts(sizes, units):
    """`parameters` after none, the first, the first two … of `units`, int64 [1 + units]."""
    at, out = {}, np.zeros(len(units) + 1, np.int64)
    for step, unit in enumerate(units, 1):
        for member in unit.members:
            at.setdefault(member.tensor, {}).setdefault(member.axis, {}).setdefault(member.index, step)
    for name, shape in sizes.items():
        product = np.ones(len(units) + 1, np.int64)
        for axis, n in enumerate(shape):
            steps = list(at.get(name, {}).get(axis, {}).values())
            product *= n - np.cumsum(np.bincount(steps, minlength=len(units) + 1)) if steps else n
        out += product
    return out


def _ranked(scores, groups, least):
    """For each group the places of its units, worst first, without the `least` best."""
    ranked = []
    for group in groups:
        if len(scores[group.name]) != len(group.units):
            raise TrimError(f"{group.name} has {len(group.units)} units and {len(scores[group.name])} scores: score the groups of this net")
        ranked.append(np.argsort(scores[group.name], kind="stable")[:max(0, len(group.units) - least)])
    return ranked


def _global(scores, groups, ranked):
    """All removable units, (group, place) each, worst first."""
    pairs = [(scores[group.name][place], g, int(place)) for g, (group, places) in enumerate(zip(groups, ranked)) for place in places]
    return [(g, place) for _, g, place in sorted(pairs)]


def _local(sizes, ranked):
    """All removable units so that every group has always lost the same share. sizes: units of each group."""
    pairs = [((k + 1) / n, g, int(place)) for g, (n, places) in enumerate(zip(sizes, ranked)) for k, place in enumerate(places)]
    return [(g, place) for _, g, place in sorted(pairs)]


def _first_reaching(lost, wanted):
    """How many units it takes until `lost` [1 + units], ascending, reaches `wanted`; all where it never does."""
    return min(int(np.searchsorted(lost, wanted, "left")), len(lost) - 1)


def _kept(count, whole, multiple):
    """A kept count rounded up to a multiple, at most the whole; up to half of one it stays as it is."""
    return count if 2 * count <= multiple else min(whole, -(-count // multiple) * multiple)


def _rounded(order, groups, count, multiple):
    """The first `count` of `order`, less the best of each group, so that kept counts are multiples."""
    took = [0] * len(groups)
    for g, _ in order[:count]:
        took[g] += 1
    left = [len(group.units) - _kept(len(group.units) - n, len(group.units), multiple) for group, n in zip(groups, took)]
    out = []
    for g, place in order[:count]:
        if left[g] > 0:
            out.append((g, place))
            left[g] -= 1
    return out


def _most_within(order, groups, lost, count, multiple):
    """Of the roundings of the first k of `order`, all k, the largest that takes no more than the first `count` do (`lost` [k])."""
    low, high, most = count, len(order), lost(order[:count])      # rounding only gives back: the first `count` are always within
    while low < high:
        middle = (low + high + 1) // 2
        if lost(_rounded(order, groups, middle, multiple)) <= most:
            low = middle
        else:
            high = middle - 1
    return _rounded(order, groups, low, multiple)


def select(scores, groups, sizes, share, scope="global", normalise="max", by="parameters", original=None, least=LEAST, multiple=1):
    """The units to remove, those that matter least first.

    scores: group name → one number a unit, the larger the more it matters. groups: of the net as it is. sizes: tensor name → shape,
    of all tensors that count as parameters. share: of the original's parameters (or units, with by="units") that shall be gone
    in the end; `original` is how many it had, by default those of this net. At most one unit more goes than the share asks for; less
    where every group is down to its `least` units. multiple: kept counts above half of it are rounded up to its multiples, so that
    the kernels' panels of 8 or 16 outputs are full; other groups make up for it where they can, else less goes than asked for.
    """
    one_of(scope, SCOPES, "scope")
    one_of(by, COUNTED, "by")
    if not 0 <= share < 1:
        raise TrimError(f"a share of {share} cannot be removed: give one from 0 to below 1")
    scores = normalised(scores, normalise)
    ranked = _ranked(scores, groups, max(0, least))
    every = lambda order: [groups[g].units[place] for g, place in order]
    if by == "units":
        now = sum(len(group.units) for group in groups)
        losses = lambda order: np.arange(len(order) + 1)
    else:
        now = parameters(sizes)
        losses = lambda order: now - lefts(sizes, every(order))
    whole = now if original is None else original
    order = _order(scores, groups, ranked, scope, losses, whole, now)
    count = _first_reaching(losses(order), math.ceil(share * whole - 1e-6) - (whole - now))
    if multiple > 1:
        lost = lambda part: int(losses(part)[-1])
        return every(_most_within(order, groups, lost, count, multiple))
    return every(order[:count])


def _order(scores, groups, ranked, scope, losses, whole, now):
    """All removable units, (group, place) each, in the order in which they go."""
    if scope == "local":
        return _local([len(group.units) for group in groups], ranked)
    order = _global(scores, groups, ranked)
    if scope == "global":
        return order
    first = order[:_first_reaching(losses(order), LOCAL_FROM * whole - (whole - now))]
    gone = set(first)
    rest = [[place for place in places if (g, int(place)) not in gone] for g, places in enumerate(ranked)]
    taken = [sum(1 for g, _ in first if g == k) for k in range(len(groups))]
    return first + _local([len(group.units) - n for group, n in zip(groups, taken)], rest)
