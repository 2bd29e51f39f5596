"""The network as the official inference script computes it: the baseline of the latency benchmarks.

Same parameters and function as FusionModule, in the official form: contiguous NCHW maps, layer norm spelled
out on (N, H*W, C), queries and keys normalised before they are multiplied.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from refusion.models.blocks import NORM_EPS, ChannelAttention, ChannelNorm
from refusion.models.fusion import CrossAttentionFusion, FusionModule


def _attention(q: Tensor, k: Tensor, v: Tensor, temperature: Tensor) -> Tensor:
    batch, channels, height, width = q.shape
    heads = temperature.shape[0]
    q, k, v = (x.reshape(batch, heads, channels // heads, height * width) for x in (q, k, v))
    scores = (F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1)) * temperature
    return (scores.softmax(dim=-1) @ v).reshape(batch, channels, height, width)


class _Norm(ChannelNorm):
    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        x = x.flatten(2).transpose(1, 2)
        mean, variance = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, unbiased=False)
        x = (x - mean) / torch.sqrt(variance + NORM_EPS) * self.weight + self.bias
        return x.transpose(1, 2).unflatten(2, (height, width))


class _Attention(ChannelAttention):
    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv.split(x, 3)
        return self.out(_attention(q, k, v, self.temperature))


class _Fusion(CrossAttentionFusion):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        (q_a, k_a, v_a), (q_b, k_b, v_b) = self.qkv_a.split(a, 3), self.qkv_b.split(b, 3)
        a = a + self.mix_a(_attention(q_b, k_a, v_a, self.temperature_a))
        b = b + self.mix_b(_attention(q_a, k_b, v_b, self.temperature_b))
        joint = torch.cat((a, b), dim=1)
        gate_a, gate_b = self.gate.split(joint, 2)
        a, b = F.gelu(gate_a) * self.value_a(a), F.gelu(gate_b) * self.value_b(b)
        return joint + self.out_a(a) + self.out_b(b)


OFFICIAL_FORMS: dict[type[nn.Module], type[nn.Module]] = {
    ChannelNorm: _Norm,
    ChannelAttention: _Attention,
    CrossAttentionFusion: _Fusion,
}


def official_form(module: FusionModule) -> FusionModule:
    """Return a copy of the module that computes as the official script does."""
    module = copy.deepcopy(module)
    for layer in module.modules():
        if type(layer) in OFFICIAL_FORMS:
            # The parameters stay; the form of the computation changes.
            layer.__class__ = OFFICIAL_FORMS[type(layer)]
    return module.eval()
