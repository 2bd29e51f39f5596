"""What a training run is made of: one frozen record, overridable as `key=value`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, get_type_hints

from refusion.errors import UsageError


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfiguration:
    """Settings of one run. An epoch is a meta phase followed by a fusion and reconstruction phase."""

    epochs: int = 60
    meta_steps: int = 24
    """Meta steps an epoch; P moves once for every `meta_accumulation` of them."""
    fusion_steps: int = 90
    """Fusion + reconstruction steps an epoch."""
    batch: int = 4
    """Pairs a mini-batch, before it is doubled with swapped sources."""
    patch_px: int = 64
    learning_rate: float = 1e-3
    """Adam step of F and R at the start; it falls as a half cosine to `final_learning_rate`."""
    final_learning_rate: float = 2e-5
    inner_learning_rate: float = 1e-3
    """Plain SGD step of the inner update."""
    proposal_step: float = 1e-3
    """Step size of P."""
    proposal_optimizer: str = "adam"
    """How P steps: adam, or normalised (by the largest gradient, as in the paper)."""
    meta_accumulation: int = 2
    meta_epochs: int = 0
    """Epochs with a meta phase, from the first; P is frozen after them. 0: all, as in the paper."""
    reconstruction_every: int = 1
    """R takes its Adam step on every n-th fusion step: 1 as in the paper; F does not depend on it."""
    gradient_clip: float = 0.0
    """Largest gradient norm of a step of F or R; 0: not clipped, as in the paper."""
    loss: str = "learned"
    """What weighs the sources in the fusion loss: learned (by P), or the fixed equal or maximum."""
    structure_factor: float = 0.0
    """Factor of the SSIM term of the fusion loss (refusion.training.perceptual); 0 as in the paper."""
    edge_factor: float = 0.0
    """Factor of the Qabf term, likewise."""
    information_factor: float = 0.0
    """Factor of the VIF term, likewise."""
    difference_factor: float = 0.0
    """Factor of the SCD term, likewise."""
    validation_pairs: int = 16
    """Pairs held out of training, chosen by the seed."""
    seed: int = 0
    threads: int = 0
    """PyTorch threads; 0 keeps PyTorch's choice."""

    def override(self, assignments: Iterable[str]) -> TrainingConfiguration:
        """Return a copy with `key=value` assignments applied.

        Raises:
            UsageError: An unknown key, or a value that is not of the key's type.
        """
        types = get_type_hints(type(self))
        changes: dict[str, Any] = {}
        for assignment in assignments:
            key, separator, value = assignment.partition("=")
            if not separator or key not in types:
                raise UsageError(
                    f"'{assignment}' is no setting: write key=value, with a key of {', '.join(types)}"
                )
            try:
                changes[key] = types[key](value)
            except ValueError:
                raise UsageError(
                    f"{key} takes a value of type {types[key].__name__}, not '{value}'"
                ) from None
        return dataclasses.replace(self, **changes).checked()

    def checked(self) -> TrainingConfiguration:
        """Return self if every count is usable.

        Raises:
            UsageError: A setting that no run can start with.
        """
        for key in ("epochs", "fusion_steps", "batch", "meta_accumulation", "reconstruction_every"):
            if getattr(self, key) < 1:
                raise UsageError(f"{key} must be 1 or more, not {getattr(self, key)}")
        if self.loss not in ("learned", "equal", "maximum"):
            raise UsageError(f"loss must be learned, equal or maximum, not {self.loss}")
        if self.proposal_optimizer not in ("adam", "normalised"):
            raise UsageError(f"proposal_optimizer must be adam or normalised, not {self.proposal_optimizer}")
        if self.patch_px < 16:
            raise UsageError(f"patch_px must be 16 or more, not {self.patch_px}")
        return self
