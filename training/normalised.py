"""The step that the paper takes with the loss proposal module: descent normalised by the largest gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class NormalisedDescent(torch.optim.Optimizer):
    """Steps by `-lr * grad / max|grad|`, the maximum over all parameters (IJCV 2024, section 3.5).

    The entry with the largest gradient moves by exactly lr, so that the meta gradients' size, which is
    tiny and changes by orders of magnitude over a run, does not matter. It has no state but lr.
    """

    def __init__(self, parameters: Iterable[Tensor], *, lr: float | Tensor) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Take one step; parameters whose gradient is None stay.

        Raises:
            ValueError: With a closure: the gradients are accumulated before the call.
        """
        if closure is not None:
            raise ValueError("NormalisedDescent takes no closure: accumulate the gradients, then step")
        moving = [
            (group["lr"], parameter, parameter.grad)
            for group in self.param_groups
            for parameter in group["params"]
            if parameter.grad is not None
        ]
        if not moving:
            return
        largest = torch.stack([gradient.abs().amax() for _, _, gradient in moving]).amax()
        # Where every gradient is 0 the quotient is 0 and not NaN.
        inverse = largest.clamp(min=torch.finfo(largest.dtype).tiny).reciprocal()
        for rate, parameter, gradient in moving:
            parameter.sub_(rate * inverse * gradient)
