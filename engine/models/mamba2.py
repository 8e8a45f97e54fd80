"""Mamba-2: a stack of state space blocks, each with its own norm and residual, and nothing else (Dao and Gu 2024)."""

# B batch, T positions, D width, E inner width, H heads, P head width, G groups, N state, C channels of the convolution,
# K positions that the convolution sees, J = K - 1, V vocabulary

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.kernels import causal_conv, ssd_scan
from engine.kernels.gate import gated
from engine.kernels.norm import rms_norm
from engine.kernels.spec import Kernels
from engine.kernels.ssd_scan import reference
from engine.models.blocks import Embedding, Linear, RMSNorm, linear
from engine.models.check import check_room
from engine.models.decoder import Decoder
from engine.models.mamba2_shapes import heads, inner_width, projected
from engine.models.spec import Mamba2


@dataclass(slots=True)
class MixerState:
    """What one block remembers of the positions so far: as much after a million of them as after one."""

    inputs: Tensor
    """The last inputs of the convolution [B, J, C]."""
    scan: Tensor
    """The state of every head [B, H, P, N]."""


class Conv(nn.Module):
    """Weight and bias of the convolution, left unset."""

    def __init__(self, channels: int, seen: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 1, seen))
        self.bias = nn.Parameter(torch.empty(channels))


class GatedNorm(nn.Module):
    """norm(y * silu(z)): the gate comes before the norm, and each group of heads is normalised by itself."""

    def __init__(self, spec: Mamba2, kernels: Kernels) -> None:
        super().__init__()
        self.groups, self.eps, self.kernels = spec.groups, spec.norm_eps, kernels
        self.weight = nn.Parameter(torch.empty(inner_width(spec)))

    def forward(self, y: Tensor, z: Tensor) -> Tensor:
        x = gated(z, y, backend=self.kernels.gate)
        parts = zip(x.chunk(self.groups, dim=-1), self.weight.chunk(self.groups), strict=True)
        normed = [rms_norm(part, weight, self.eps, backend=self.kernels.norm) for part, weight in parts]
        return normed[0] if self.groups == 1 else torch.cat(normed, dim=-1)


class Mixer(nn.Module):
    """Input projection, convolution, scan, gated norm, output projection; only the two projections are matrices.

    Both ways through it, all positions at once and one after another, call the same two modules: what makes them
    1-bit holds for training and decoding alike.
    """

    def __init__(self, spec: Mamba2, kernels: Kernels) -> None:
        super().__init__()
        self.spec, self.kernels, self.parts = spec, kernels, projected(spec)
        self.input = linear(spec.width, sum(self.parts), spec.linear, kernels)
        self.conv = Conv(sum(self.parts[1:4]), spec.conv)
        self.dt_bias, self.a_log, self.d = (nn.Parameter(torch.empty(heads(spec))) for _ in range(3))
        self.norm = GatedNorm(spec, kernels)
        self.output = linear(inner_width(spec), spec.width, spec.linear, kernels)

    def forward(self, x_BTD: Tensor) -> Tensor:
        all_BTW = self.input(x_BTD).float()
        with torch.autocast(x_BTD.device.type, enabled=False):  # sums over many positions stay fp32
            z_BTE, xbc_BTC, dt_BTH = self.projected(all_BTW)
            xbc_BTC = causal_conv.causal_conv(
                xbc_BTC, self.conv.weight, self.conv.bias, backend=self.kernels.causal_conv
            )
            x_BTHP, b_BTGN, c_BTGN = self.split(xbc_BTC)
            y_BTHP = ssd_scan.ssd_scan(
                x_BTHP, self.delta(dt_BTH), self.a(), b_BTGN, c_BTGN, self.d, backend=self.kernels.ssd_scan
            )
            y_BTE = self.norm(y_BTHP.flatten(-2), z_BTE)
        y_BTD: Tensor = self.output(y_BTE)
        return y_BTD

    def step(self, x_BD: Tensor, state: MixerState) -> Tensor:
        """The same for one more position."""
        all_BW = self.input(x_BD).float()
        with torch.autocast(x_BD.device.type, enabled=False):
            z_BE, xbc_BC, dt_BH = self.projected(all_BW)
            xbc_BC, state.inputs = causal_conv.step(xbc_BC, state.inputs, self.conv.weight, self.conv.bias)
            x_BHP, b_BGN, c_BGN = self.split(xbc_BC)
            y_BHP, state.scan = reference.step(x_BHP, self.delta(dt_BH), self.a(), b_BGN, c_BGN, self.d, state.scan)
            y_BE = self.norm(y_BHP.flatten(-2), z_BE)
        y_BD: Tensor = self.output(y_BE)
        return y_BD

    def projected(self, everything: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """z, what the convolution takes, dt."""
        z, xbc, dt = torch.split(everything, [self.parts[0], sum(self.parts[1:4]), self.parts[4]], dim=-1)
        return z, xbc, dt

    def split(self, xbc: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x by heads, B and C by groups."""
        x, b, c = torch.split(xbc, list(self.parts[1:4]), dim=-1)
        front, groups = xbc.shape[:-1], (self.spec.groups, self.spec.state)
        return x.view(*front, -1, self.spec.head_width), b.view(*front, *groups), c.view(*front, *groups)

    def delta(self, dt: Tensor) -> Tensor:
        """Steps: softplus, and only then the clamp."""
        positive = F.softplus(dt + self.dt_bias)
        return positive if self.spec.dt_limit is None else positive.clamp(*self.spec.dt_limit)

    def a(self) -> Tensor:
        return -torch.exp(self.a_log)


class Block(nn.Module):
    """x + mixer(norm x), added in fp32."""

    def __init__(self, spec: Mamba2, kernels: Kernels) -> None:
        super().__init__()
        self.norm = RMSNorm(spec.width, spec.norm_eps, kernels)
        self.mixer = Mixer(spec, kernels)

    def forward(self, x_BTD: Tensor) -> Tensor:
        y_BTD: Tensor = x_BTD + self.mixer(self.norm(x_BTD))
        return y_BTD

    def step(self, x_BD: Tensor, state: MixerState) -> Tensor:
        return x_BD + self.mixer.step(self.norm(x_BD), state)


class Mamba2Decoder(Decoder[list[MixerState]]):
    """Any number of positions; the state has one entry a layer."""

    def __init__(self, spec: Mamba2, kernels: Kernels) -> None:
        super().__init__()
        self.spec = spec
        self.embedding = Embedding(spec.vocabulary, spec.width)
        self.layers = nn.ModuleList(Block(spec, kernels) for _ in range(spec.layers))
        self.norm = RMSNorm(spec.width, spec.norm_eps, kernels)
        self.head = None if spec.tied else Linear(spec.width, spec.vocabulary)

    def head_weight(self) -> Tensor:
        return self.embedding.weight if self.head is None else self.head.weight

    def hidden(self, ids_BT: Tensor) -> Tensor:
        x_BTD = self.embedding(ids_BT)
        for layer in self.layers:
            x_BTD = layer(x_BTD)
        y_BTD: Tensor = self.norm(x_BTD)
        return y_BTD

    def empty(self, rows: int, positions: int) -> list[MixerState]:  # noqa: ARG002 (as much for any number of them)
        spec, weight = self.spec, self.embedding.weight
        inputs = (rows, spec.conv - 1, sum(projected(spec)[1:4]))
        state = (rows, heads(spec), spec.head_width, spec.state)
        return [
            MixerState(torch.zeros(inputs, device=weight.device), torch.zeros(state, device=weight.device))
            for _ in range(spec.layers)
        ]

    def advance(self, ids_B: Tensor, state: list[MixerState]) -> Tensor:
        check_room(len(ids_B), len(state[0].scan), 0, 1)
        x_BD = self.embedding(ids_B)
        for layer, remembered in zip(self.layers, state, strict=True):
            assert isinstance(layer, Block)
            x_BD = layer.step(x_BD, remembered)
        return F.linear(self.norm(x_BD), self.head_weight())
