"""The control protocol: curves asked of a model and measured again in its sound.

Curves of 0.75 s are played with the latents of held-out clips; for pitched models harmonicity and pitch are the clip's.
*all five*: five independent random curves at once (F-RAVE's all-attribute case); *unseen*: the same with triangles and
saws, which training never draws; *single*: one random curve, the others those of the clip, for each descriptor;
*random one*: one descriptor, drawn for each curve, is random and the other four are the clip's, and both are judged:
whether the one follows, and whether the others stay; *swap*: all five of another clip, which a sound exists for.
"""

import numpy as np
import torch

from ..descriptors import NAMES, measure
from .bench import FRAMES
from .curves import random_curves, unseen_curves
from .opinion import second_opinion
from .statistics import Followed

QUIET = -0.8


def _independent(draw):
    def ask(bench, count, rng):
        index = bench.pick(count)
        return draw(count, FRAMES, rng), index, bench.extras[index], None
    return ask


def _swap(bench, count, rng):
    other = torch.from_numpy(rng.integers(len(bench.audio), size=count))
    return bench.curves[other], bench.pick(count), bench.extras[other], None


def _random_one(bench, count, rng):
    index, chosen = bench.pick(count), np.eye(len(NAMES), dtype=bool)[rng.permutation(np.arange(count) % len(NAMES))]
    drawn, mask = random_curves(count, FRAMES, rng), torch.from_numpy(chosen)[:, None]
    return torch.where(mask, drawn, bench.curves[index]), index, bench.extras[index], chosen


def _single(bench, count, rng):
    """`count` curves for each descriptor."""
    parts = [bench.pick(count)] * len(NAMES)
    index, chosen = torch.cat(parts), np.repeat(np.eye(len(NAMES), dtype=bool), count, 0)
    drawn, mask = random_curves(len(index), FRAMES, rng), torch.from_numpy(chosen)[:, None]
    return torch.where(mask, drawn, bench.curves[index]), index, bench.extras[index], chosen


PROTOCOLS = {"all_five": _independent(random_curves), "unseen": _independent(unseen_curves), "random_one": _random_one,
             "swap": _swap, "single": _single}


def followed(bench, title, count, seed):
    """One protocol with the curves of one seed, as a `Followed` and the arguments of its curves (asked, index, extras, chosen)."""
    asked, index, extras, chosen = PROTOCOLS[title](bench, count, np.random.default_rng(seed))
    return Followed(*bench.follow(asked, index, extras), index.numpy(), NAMES, chosen, QUIET), (asked, index, extras, chosen)


def together(parts):
    """Several `Followed` of one bench as one."""
    join = lambda name: np.concatenate([getattr(part, name) for part in parts])
    whole = Followed(join("asked"), join("got"), join("clip")[:, 0], parts[0].names, None, QUIET)
    whole.keep = [np.concatenate([part.keep[d] for part in parts]) for d in range(len(whole.names))]
    return whole


def opinions(bench, asked, index, extras):
    """What the second code says of curves, and how far both codes agree on these sounds and on the recordings."""
    sounds, own = zip(*((audio.numpy(), measure(audio, bench.space).numpy()) for _, audio in bench.sounds(asked, index, extras)))
    sounds = np.concatenate(sounds)
    return {"second_opinion": second_opinion(asked.numpy(), sounds, QUIET),
            "opinions_agree": {"recordings": second_opinion(bench.curves.numpy(), bench.audio.numpy(), QUIET),
                               "unseen": second_opinion(np.concatenate(own), sounds, QUIET)}}


def control(bench, count=512, seeds=3):
    """All protocols, `count` curves each and for each of `seeds` draws (of *single*: for each descriptor over all draws).

    Returns {"curves", "seeds", protocol: figures of `Followed` and "by_seed" (mean Spearman of each draw), "leakage" (of all
    five at once), "second_opinion" (of unseen shapes, see `opinion`), "opinions_agree" (Spearman of the two codes on the same sounds: the
    recordings, the unseen shapes)}; *random one* has "kept", the mean Spearman of the four left alone.
    """
    out = {"curves": count, "seeds": seeds}
    for title in PROTOCOLS:
        each = -(-count // seeds) if title == "single" else count
        parts, kept = [], []
        for k in range(seeds):
            part, told = followed(bench, title, each, bench.seed + k)
            parts.append(part)
            if title == "random_one":
                kept.append(Followed(part.asked, part.got, told[1].numpy(), NAMES, ~told[3], QUIET))
            if title == "unseen" and k == 0:
                out |= opinions(bench, *told[:3])
        whole = together(parts)
        out[title] = whole.figures() | {"by_seed": [part.figures(2)["spearman"] for part in parts]}
        if kept:
            out[title]["kept"] = together(kept).figures(2)["spearman"]
        if title == "all_five":
            out["leakage"] = whole.leakage()
    return out
