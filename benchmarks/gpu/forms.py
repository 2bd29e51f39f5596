"""The forms of the network that are timed in PyTorch: types of the maps, memory layouts, TF32 on or off."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Form:
    """How the network computes."""

    title: str
    dtype: torch.dtype = torch.float32
    """Of convolutions and the maps between them; norms and attention's sums are float32 in every form."""
    channels_last: bool = False
    tf32: bool = False

    @property
    def bytes_per_value(self) -> int:
        """Bytes of a value of a map."""
        return self.dtype.itemsize

    def prepare(self, module: nn.Module) -> nn.Module:
        """Return a copy of a float32 module in this form; it takes and gives float32."""
        prepared = copy.deepcopy(module).eval()
        for layer in prepared.modules():
            if isinstance(layer, nn.Conv2d):
                layer.to(self.dtype)
        if self.channels_last:
            prepared.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's
        return prepared

    @contextmanager
    def settings(self) -> Iterator[None]:
        """Switch TF32 as the form has it, and the search for the fastest convolutions on, for a block."""
        # Not cudnn.flags: it would switch cuDNN itself off.
        cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
        before = cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark
        cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark = self.tf32, self.tf32, True
        try:
            yield
        finally:
            cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark = before


FORMS = {
    "fp32": Form("float32"),
    "tf32": Form("float32, TF32 products", tf32=True),
    "fp16": Form("mixed float16, channels last", torch.float16, channels_last=True),
    "fp16-nchw": Form("mixed float16", torch.float16),
    "bfloat16": Form("mixed bfloat16, channels last", torch.bfloat16, channels_last=True),
}
