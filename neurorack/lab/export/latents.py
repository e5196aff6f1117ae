"""The latent space of a finished model: its principal axes, ranked."""

import torch

from ..descriptors import RATE_HZ

MOST_FRAMES_A_CLIP = 32      # of an encoder that gives a latent a frame


def latents_of(encoder, clips, seconds):
    """Latent means of clips, [n, latents]; of an encoder with a latent a frame, some of each clip's."""
    samples, found = int(seconds * RATE_HZ), []
    with torch.no_grad():
        for k in range(len(clips)):
            latent = encoder(torch.from_numpy(clips.padded(k, samples))[None])[0][0]
            latent = latent.reshape(-1, latent.shape[-1])
            found.append(latent[::-(-len(latent) // MOST_FRAMES_A_CLIP)])
    return torch.cat(found)


def rank_latents(engine, encoder, latents):
    """Turn the latent space in place so that z0, z1 … are its principal axes, ranked, with mean 0 and deviation 1.

    latents: [n, latents] of the training clips. The change of basis is folded into the layers of the engine that read
    the latent and into the encoder's last, so the sound stays the same. Returns the shares of variance, [latents], and
    the row a latent of zeros (as during training's rests) has in the new basis.
    """
    mean = latents.mean(0)
    centred = (latents - mean).double()
    variance, axes = torch.linalg.eigh(centred.T @ centred / len(latents))
    variance, axes = variance.flip(0).clamp(min=0), axes.flip(1).T
    share = (variance / variance.sum().clamp(min=1e-12)).float()
    scale = variance.sqrt().clamp(min=1e-3 * float(variance[0]) ** 0.5 + 1e-9)
    to_new = (axes.T / scale).float()                        # new = (old - mean) @ to_new
    engine.change_latents((scale[:, None] * axes).float(), mean)
    encoder.change_latents(to_new, mean)
    return share, -mean @ to_new
