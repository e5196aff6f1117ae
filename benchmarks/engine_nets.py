"""The decoder that the engine's benchmarks measure, as torch, ONNX and our engine each write it.

The shape is RAVE v2's decoder (Caillon and Esling, 2021, and its released configurations), written afresh with random
weights: a convolution from the latent, upsampling stages of a transposed convolution and three residual units (dilations 1,
3, 9), a head with an amplitude gate, and the synthesis of a 16-band pseudo-QMF bank. Causal, every convolution cached.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurorack.engine.filterbank import pqmf_bank, synthesis_weights

SLOPE = 0.2
BANDS = 16


@dataclass
class Decoder:
    """Weights in torch's shapes. ``units``: for each stage a list of (w3, b3, dilation, w1, b1)."""

    latent: int
    first: tuple
    ups: list
    units: list
    last: tuple
    bank: np.ndarray

    @property
    def ratio(self) -> int:
        return BANDS * int(np.prod([stride for _, _, stride in self.ups]))


def decoder(capacity: int, strides, latent: int = 128, seed: int = 0) -> Decoder:
    rng = np.random.default_rng(seed)

    def weights(*shape, fan):
        return (rng.standard_normal(shape) / np.sqrt(fan)).astype(np.float32)

    def bias(n):
        return (0.05 * rng.standard_normal(n)).astype(np.float32)

    channels = capacity * 2 ** len(strides)
    first = weights(channels, latent, 7, fan=latent * 7), bias(channels)
    ups, units = [], []
    for stride in strides:
        out = channels // 2
        ups.append((weights(channels, out, 2 * stride, fan=channels * 2), bias(out), stride))
        units.append(
            [
                (weights(out, out, 3, fan=out * 3), bias(out), d, weights(out, out, 1, fan=out * 2), bias(out))
                for d in (1, 3, 9)
            ]
        )
        channels = out
    last = weights(2 * BANDS, channels, 7, fan=channels * 28), bias(2 * BANDS)
    return Decoder(latent, first, ups, units, last, pqmf_bank(BANDS, 100.0, taps=32 * BANDS))


def build(net: Decoder):
    """The builder function for ``ModelWriter.method``."""

    def program(b):
        x = b.conv1d(b.input(), *net.first, act="leaky_relu", a=SLOPE)
        for stage, ((w, bias, stride), units) in enumerate(zip(net.ups, net.units)):
            raw, x = b.conv_transpose1d(x, w, bias, stride=stride, also="leaky_relu", a2=SLOPE)
            for w3, b3, dilation, w1, b1 in units:
                h = b.conv1d(x, w3, b3, dilation=dilation, act="leaky_relu", a=SLOPE)
                raw, x = b.conv1d(h, w1, b1, residual=raw, also="leaky_relu", a2=SLOPE)
        h = b.conv1d(x, *net.last)
        bands = b.tanh(h[:, :BANDS] * b.sigmoid(h[:, BANDS:]))
        b.output(b.conv_transpose1d(bands, synthesis_weights(net.bank), stride=BANDS))

    return program


def script(net: Decoder):
    """The same as a scripted streaming module, as nn~ exports are written: caches in buffers, overlap-add. [1, latent, n] to
    [1, 1, n * ratio]."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Conv(nn.Module):
        def __init__(self, weight, bias, dilation: int = 1):
            super().__init__()
            self.weight = nn.Parameter(torch.from_numpy(weight))
            self.bias = None if bias is None else nn.Parameter(torch.from_numpy(bias))
            self.dilation = dilation
            self.pad = (weight.shape[2] - 1) * dilation
            self.register_buffer("cache", torch.zeros(1, weight.shape[1], self.pad))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.pad > 0:
                x = torch.cat([self.cache, x], -1)
                self.cache.copy_(x[..., -self.pad :])
            return F.conv1d(x, self.weight, self.bias, dilation=self.dilation)

    class Up(nn.Module):
        def __init__(self, weight, bias, stride: int):
            super().__init__()
            self.weight = nn.Parameter(torch.from_numpy(weight))
            self.bias = nn.Parameter(torch.from_numpy(bias)[:, None])
            self.stride, self.tail = stride, weight.shape[2] - stride
            self.register_buffer("cache", torch.zeros(1, weight.shape[1], self.tail))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = F.conv_transpose1d(x, self.weight, stride=self.stride)
            x[..., : self.tail] += self.cache
            self.cache.copy_(x[..., -self.tail :])
            return x[..., : -self.tail] + self.bias

    class Unit(nn.Module):
        def __init__(self, w3, b3, dilation: int, w1, b1):
            super().__init__()
            self.net = nn.Sequential(nn.LeakyReLU(SLOPE), Conv(w3, b3, dilation), nn.LeakyReLU(SLOPE), Conv(w1, b1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.net(x)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            layers = [Conv(*net.first)]
            for up, units in zip(net.ups, net.units):
                layers += [nn.LeakyReLU(SLOPE), Up(*up), *[Unit(*u) for u in units]]
            self.body = nn.Sequential(*layers, nn.LeakyReLU(SLOPE), Conv(*net.last))
            self.synthesis = Conv(polyphase(net.bank), None)

        @torch.jit.export
        def decode(self, z: torch.Tensor) -> torch.Tensor:
            wave, amplitude = torch.split(self.body(z), 16, 1)
            x = self.synthesis(torch.tanh(wave * torch.sigmoid(amplitude)))
            return x.permute(0, 2, 1).reshape(x.shape[0], 1, -1)

        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return self.decode(z)

    return torch.jit.script(Net().eval())


def polyphase(bank: np.ndarray) -> np.ndarray:
    """Synthesis as ``Conv1d`` weights [bands (phase), bands, taps / bands] over the bands at their own rate."""
    w = synthesis_weights(bank)[:, 0]
    bands, taps = w.shape
    return np.ascontiguousarray(w.reshape(bands, taps // bands, bands).transpose(2, 0, 1)[:, :, ::-1])


def onnx_model(net: Decoder, frames: int) -> tuple[bytes, dict]:
    """The same as an ONNX graph with every cache an explicit input and output; returns it and the caches' zeros."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, weights, states, outs = [], [], {}, []

    def const(array):
        weights.append(numpy_helper.from_array(np.ascontiguousarray(array), f"w{len(weights)}"))
        return weights[-1].name

    def node(op, inputs, **attributes):
        nodes.append(helper.make_node(op, inputs, [f"v{len(nodes)}"], **attributes))
        return nodes[-1].output[0]

    def cached(x, channels, pad):
        name = f"state{len(states)}"
        states[name] = np.zeros((1, channels, pad), np.float32)
        window = node("Concat", [name, x], axis=2)
        bounds = [const(np.array([v], np.int64)) for v in (-pad, 1 << 30, 2)]
        nodes.append(helper.make_node("Slice", [window, *bounds], [name + "_next"]))
        outs.append(name + "_next")
        return window

    def conv(x, w, bias, dilation=1):
        pad = (w.shape[2] - 1) * dilation
        x = cached(x, w.shape[1], pad) if pad else x
        return node(
            "Conv",
            [x, const(w)] + ([] if bias is None else [const(bias)]),
            dilations=[dilation],
            kernel_shape=[w.shape[2]],
        )

    def leaky(x):
        return node("LeakyRelu", [x], alpha=SLOPE)

    x = conv("z", *net.first)
    for (w, bias, stride), units in zip(net.ups, net.units):
        window = cached(leaky(x), w.shape[0], 1)
        x = node(
            "ConvTranspose",
            [window, const(w), const(bias)],
            strides=[stride],
            kernel_shape=[2 * stride],
            pads=[stride, stride],
        )
        for w3, b3, dilation, w1, b1 in units:
            x = node("Add", [x, conv(leaky(conv(leaky(x), w3, b3, dilation)), w1, b1)])
    wave, amplitude = "wave", "amplitude"
    nodes.append(helper.make_node("Split", [conv(leaky(x), *net.last)], [wave, amplitude], axis=1, num_outputs=2))
    x = node("Tanh", [node("Mul", [wave, node("Sigmoid", [amplitude])])])
    x = node("Transpose", [conv(x, polyphase(net.bank), None)], perm=[0, 2, 1])
    nodes.append(helper.make_node("Reshape", [x, const(np.array([1, 1, -1], np.int64))], ["audio"]))

    def info(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        nodes,
        "decoder",
        [info("z", [1, net.latent, frames])] + [info(k, v.shape) for k, v in states.items()],
        [info("audio", [1, 1, frames * net.ratio])] + [info(k, states[k[:-5]].shape) for k in outs],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString(), states
