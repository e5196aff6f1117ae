"""From a trained run to a model file: ranked latents, gestures from recordings, the card, the engine's program."""

import copy

import numpy as np
import torch

from ..engine import ModelWriter, generate
from ..errors import ModelError
from ..voice.loudness import lufs
from . import data, evaluate, nets
from .descriptors import HOP, LOUDNESS_DB_PER_UNIT, LOUDNESS_ZERO_DB, NAMES, RATE_HZ, SLOW_WINDOW, UNITS, WINDOW, curves
from .train import NOISE, REST

BLOCKS = (64, 128, 256, 512, 1024)
DECODER, ENCODER = "decoder.", "encoder."        # prefixes of tensor names; only the lab reads the encoder's
LATENT_REACH = 2.0          # standard deviations a timbre control moves to either side
DECAY_FACTOR = 4.0
LEAST_AGREEMENT_DB = 90
TAIL_ROWS = 48


def latents_of(encoder, clips, seconds):
    """Latent means of clips, [n, LATENTS]."""
    samples = int(seconds * RATE_HZ)
    with torch.no_grad():
        return torch.cat([encoder(torch.from_numpy(clips.padded(k, samples))[None])[0] for k in range(len(clips))])


def rank_latents(decoder, encoder, latents):
    """Turn the latent space in place so that z0, z1 … are its principal axes, ranked, with mean 0 and deviation 1.

    latents: [n, LATENTS] of the training clips. The change of basis is folded into the decoder's first and the
    encoder's last layer, so the sound stays the same. Returns the shares of variance, [LATENTS], and the row a latent
    of zeros (as during training's rests) has in the new basis.
    """
    mean = latents.mean(0)
    centred = (latents - mean).double()
    variance, axes = torch.linalg.eigh(centred.T @ centred / len(latents))
    variance, axes = variance.flip(0).clamp(min=0), axes.flip(1).T
    share = (variance / variance.sum()).float()
    scale = variance.sqrt().clamp(min=1e-3 * float(variance[0]) ** 0.5 + 1e-9)
    to_new = (axes.T / scale).float()                        # new = (old - mean) @ to_new
    to_old = (scale[:, None] * axes).float()
    with torch.no_grad():
        first = len(NAMES)
        weight = decoder.entry.weight[:, first:].clone()
        decoder.entry.weight[:, first:] = torch.einsum("oik,ji->ojk", weight, to_old)
        decoder.entry.bias += torch.einsum("oik,i->o", weight, mean)
        count = nets.LATENTS
        encoder.out.weight[:count] = to_new.T @ encoder.out.weight[:count]
        encoder.out.bias[:count] = to_new.T @ (encoder.out.bias[:count] - mean)
    return share, -mean @ to_new


def end_softly(table, rest_loudness):
    """A gesture table with a row of rest behind it, and the last 64 ms led down to silence, at first slowly.

    Where a recording breaks off, its last spectra are those of the break: the descriptors before it are held instead.
    """
    tail = min(TAIL_ROWS, len(table) // 4)
    table = torch.cat((table, table[-1:])).clone()
    if tail:
        start = len(table) - 1 - tail
        line = table[start, 0] - (1 + table[start, 0]).clamp(min=0) * torch.linspace(0, 1, tail + 1) ** 2
        table[start:, 0] = torch.minimum(table[start:, 0], line)
        before = max(0, start - WINDOW // 2 // HOP)
        table[before:, 1:len(NAMES)] = table[before, 1:len(NAMES)]
    table[-1, 0] = rest_loudness
    return table


def gestures(cache, encoder, quantiles, names, rest):
    """Curves and latents of the recipe's named recordings, from dark to bright.

    Returns a list of (name, row of the clip, float32 [frames, inputs]) ordered by level-weighted centroid; each ends
    with a row of rest's loudness.
    """
    clips, found = data.Clips(cache, "gesture"), []
    for name, recording in names.items():
        audio = clips.named(recording)
        row = next(row for row in clips.rows if row["name"] == recording)
        audio = torch.from_numpy(np.pad(audio, (0, SLOW_WINDOW + -len(audio) % HOP)))[None]
        shape = curves(audio, quantiles)[0]
        with torch.no_grad():
            latent = encoder(audio)[0]
        table = torch.cat((shape, latent.expand(len(shape), -1)), 1)
        table = end_softly(table[:torch.nonzero(table[:, 0] > -1)[-1, 0] + 1], rest[0])
        weight = 10 ** ((table[:, 0] * LOUDNESS_DB_PER_UNIT) / 20)
        found.append((float((table[:, 1] * weight).sum() / weight.sum()), name, row, table.numpy()))
    return [entry[1:] for entry in sorted(found, key=lambda entry: entry[0])]


def _inputs(quantiles, rest, reach):
    """The card's list of decode inputs, with rest values, ranges and the descriptors' physical units."""
    table = []
    for d, name in enumerate(NAMES):
        entry = {"name": name, "rest": float(rest[d]), "low": -1.0, "high": 1.0, "unit": UNITS[d]}
        entry["knots"] = ([round(LOUDNESS_ZERO_DB - LOUDNESS_DB_PER_UNIT, 3), round(LOUDNESS_ZERO_DB + LOUDNESS_DB_PER_UNIT, 3)]
                          if d == 0 else [round(float(v), 4) for v in quantiles.knots[d - 1]])
        table.append(entry)
    for k in range(nets.LATENTS):
        table.append({"name": f"z{k}", "rest": round(float(rest[len(NAMES) + k]), 4), "low": -reach, "high": reach})
    return table


DESCRIPTOR_DOCS = {
    "loudness": ("Loudness", "dB", "level of the sound; by construction, within one hop"),
    "centroid": ("Bright", "Hz", "spectral centroid: dark to bright"),
    "bandwidth": ("Width", "Hz", "spectral bandwidth: a single tone to a wash"),
    "sharpness": ("Sharp", "relative", "sharpness: weight of the highest critical bands"),
    "booming": ("Boom", "share", "booming: weight of the lowest critical bands"),
}


def _controls(timbres):
    """The card's controls: five descriptors, gesture, decay, two timbre axes (with their measured effect)."""
    table = []
    for name in NAMES:
        label, unit, doc = DESCRIPTOR_DOCS[name]
        table.append({"name": name, "label": label, "unit": unit, "default": 0.5, "doc": doc, "kind": "descriptor",
                      "links": [{"input": name, "low": -1.0, "high": 1.0}]})
    table.append({"name": "gesture", "label": "Gesture", "unit": "", "default": 0.0, "kind": "gesture", "links": [],
                  "doc": "which hit is played, from dark to bright"})
    table.append({"name": "decay", "label": "Decay", "unit": "x", "default": 0.5, "kind": "speed", "links": [],
                  "doc": f"speed of the gesture: {DECAY_FACTOR:g} times slower to {DECAY_FACTOR:g} times faster"})
    for k, doc in enumerate(timbres):
        table.append({"name": f"timbre{k + 1}", "label": f"Timbre {'AB'[k]}", "unit": "deviations", "default": 0.5,
                      "doc": doc, "kind": "latent", "links": [{"input": f"z{k}", "low": -LATENT_REACH, "high": LATENT_REACH}]})
    return table


def decode_method(decoder, hertz):
    """The builder function of the decode method: what `Decoder` and `Synthesis` compute, in the engine's operations."""
    weight = lambda layer: (layer.weight.detach().numpy(), layer.bias.detach().numpy())

    def build(b):
        for name, value in decoder.state_dict().items():
            b.weights.add(value.numpy(), DECODER + name)
        x = b.input()
        rows = b.concat([b.clamp(x[:, :len(NAMES)], -1.5, 1.5), x[:, len(NAMES):]])
        h = b.conv1d(rows, *weight(decoder.entry), act="leaky_relu", a=nets.SLOPE)
        for layer, dilation in zip(decoder.trunk, nets.DILATIONS):
            h = b.conv1d(h, *weight(layer), dilation=dilation, act="leaky_relu", a=nets.SLOPE, residual=h)
        logits = b.conv1d(h, *weight(decoder.head), act="clamp", a=-nets.LOGIT_LIMIT, b=nets.LOGIT_LIMIT)
        root = b.exp(b.affine(logits, 0.5))
        level = b.exp(b.affine(b.clamp(x[:, :1], -2.0, 1.0), nets.LOG_PER_UNIT, nets.LOG_AT_ZERO))
        gain = b.unary("relu", b.affine(level, 1.0, -nets.FLOOR_GAIN))
        gain = b.binary("mul", gain, b.unary("rsqrt", b.sum(b.unary("square", root))))
        amplitudes = b.binary("mul", b.binary("mul", root, gain), decoder.scale.numpy())
        noise = b.noise_bands(amplitudes[:, :decoder.bands], b.generated(**NOISE), HOP)
        b.output(b.binary("add", noise, b.oscillators(amplitudes[:, decoder.bands:], hertz, RATE_HZ, HOP)))

    return build


def write(path, card, decoder, encoder, hertz, curves_by_tensor):
    """Write the model file: the decode method at every block length, gestures, and the encoder for later measuring."""
    writer = ModelWriter(card)
    writer.method("decode", decode_method(decoder, hertz), blocks=list(BLOCKS), in_channels=nets.INPUTS, in_ratio=HOP)
    writer.weights.tensors |= curves_by_tensor
    writer.weights.tensors |= {ENCODER + name: value.numpy() for name, value in encoder.state_dict().items()}
    return writer.save(path)


def decoder_of(model):
    """The torch decoder and synthesis of an exported file, as (Decoder, Synthesis)."""
    shape = lambda name: model.tensor(DECODER + name).shape
    bands = next(iter(model.generators.values()))["bands"]
    decoder = nets.Decoder(shape("entry.weight")[0], bands, shape("head.weight")[0] - bands)
    decoder.load_state_dict({name: torch.from_numpy(np.array(model.tensor(DECODER + name))) for name in decoder.state_dict()})
    hertz = nets.sine_hertz(model.card["first_key"], decoder.sines)
    return decoder.eval(), nets.Synthesis(generate.array(next(iter(model.generators.values()))), hertz, 2.0)


def agreement_db(model, frames=1024, seed=3):
    """Level of the torch rendering over its difference from the engine's, in dB, for each block length.

    The rows are wild on purpose: jumps every few frames, inputs beyond their ranges, latents of three deviations.
    """
    decoder, synthesis = decoder_of(model)
    rng = np.random.default_rng(seed)
    rows = rng.uniform(-1.8, 1.8, (frames, nets.INPUTS)) * ([1] * len(NAMES) + [1.7] * nets.LATENTS)
    rows = np.repeat(rows[::8], 8, 0)[:frames].astype(np.float32)
    with torch.no_grad():
        ours = synthesis.render(decoder(torch.from_numpy(rows)[None]))[0].numpy().astype(np.float64)
    levels = {}
    for block in model.methods["decode"].blocks:
        played = model.program("decode", block_frames=block).stream(rows)[:, 0]
        levels[block] = 10 * np.log10((ours ** 2).sum() / max(1e-30, ((ours - played) ** 2).sum()))
    return levels


def timbre_effects(decoder, tables):
    """What bending the gestures along z0 and z1 from end to end changes, measured over their loud frames: one line each.

    The mean change of all bands' and sines' levels (floor -60 dB), and the share of power in the sines at both ends.
    """
    texts = []
    for axis in range(2):
        ends = []
        for side in (-LATENT_REACH, LATENT_REACH):
            powers = []
            for table in tables:
                rows = torch.from_numpy(table)[None].clone()
                rows[..., len(NAMES) + axis] += side
                with torch.no_grad():
                    shape = decoder.shape(rows)[0] / decoder.scale
                powers.append(shape[rows[0, :, 0] > rows[0, :, 0].max() - 0.7] ** 2)
            ends.append(torch.cat(powers))
        moved = (10 * torch.log10((ends[1] + 1e-6) / (ends[0] + 1e-6))).abs().mean()
        tones = [float(end[:, decoder.bands:].sum(1).mean()) for end in ends]
        texts.append(f"latent axis {axis + 1}: moves levels by {float(moved):.0f} dB on average, "
                     f"the share of tones from {tones[0]:.0%} to {tones[1]:.0%}")
    return texts


def demo_loudness(model, tables):
    """Integrated loudness in LUFS of all gestures played one after the other, half a second apart."""
    program = model.program("decode", block_frames=BLOCKS[-1])
    step = BLOCKS[-1] // HOP
    rest = np.array([entry["rest"] for entry in model.card["inputs"]], np.float32)
    phrase = []
    for table in tables:
        phrase.append(table[:RATE_HZ // 2 // HOP])
        phrase.append(np.repeat(rest[None], RATE_HZ // 2 // HOP - len(phrase[-1]), 0))
    phrase = np.concatenate(phrase)
    phrase = np.concatenate((phrase, np.repeat(rest[None], -len(phrase) % step, 0)))
    return lufs(program.stream(phrase), RATE_HZ)


def export(trainer, cache, path, count=512, log=print):
    """Write the trained model to `path`, measure it through the engine on the held-out clips, write it with the figures."""
    recipe = trainer.recipe
    decoder, encoder = copy.deepcopy(trainer.decoder).eval(), copy.deepcopy(trainer.encoder).eval()
    share, rest_latent = rank_latents(decoder, encoder, latents_of(encoder, trainer.clips, recipe["data"]["seconds"]))
    rest = torch.cat((REST[:len(NAMES)], rest_latent))
    found = gestures(cache, encoder, trainer.quantiles, recipe["data"]["gestures"], rest)
    tensors = {f"gesture.{name.replace(' ', '_')}": table for name, _, table in found}
    hertz = nets.sine_hertz(trainer.settings["first_key"], trainer.settings["sines"])
    card = dict(recipe["card"]) | {
        "name": recipe["name"], "sample_rate_hz": RATE_HZ, "hop_frames": HOP, "channels": 1, "delay_frames": 0,
        "inputs": _inputs(trainer.quantiles, rest, LATENT_REACH), "controls": _controls(timbre_effects(decoder, tensors.values())),
        "gestures": [{"name": name, "from": f"{row['origin']} ({row['licence']})", "frames": len(table), "tensor": tensor}
                     for (name, row, table), tensor in zip(found, tensors)],
        "latent_shares": [round(float(v), 3) for v in share], "steps": trainer.step,
        "first_key": trainer.settings["first_key"]}
    model = write(path, card, decoder, encoder, hertz, tensors)
    agreement = min(agreement_db(model).values())
    if agreement < LEAST_AGREEMENT_DB:
        raise ModelError(f"{path}: the engine agrees with training only to {agreement:.0f} dB, {LEAST_AGREEMENT_DB} are needed")
    card["loudness_lufs"] = round(demo_loudness(model, tensors.values()), 2)
    bench = evaluate.bench_of(model, data.Clips(cache, "held-out"))
    card["measured"] = evaluate.evaluate(bench, count) | {"engine_agreement_db": round(float(agreement), 1)}
    write(path, card, decoder, encoder, hertz, tensors)
    log(evaluate.table(card["measured"]))
    log(f"wrote {path}")
    return decoder, encoder
