"""The parameter updates of training: one meta step for P, one fusion + reconstruction step for F and R."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from refusion.models.fusion import FusionModule
from refusion.models.proposal import LossProposal, LossWeights
from refusion.models.reconstruction import ReconstructionModule
from refusion.training.configuration import TrainingConfiguration
from refusion.training.data import Batch
from refusion.training.losses import WEIGHTINGS, LossFactors, fusion_loss, reconstruction_loss
from refusion.training.meta import Average, accumulate_meta_gradient, average_of_one
from refusion.training.normalised import NormalisedDescent
from refusion.training.schedule import FUSION, META


class Steps:
    """F, P and R with their optimisers, and the two kinds of step that move them.

    With precision bfloat16 the modules run in mixed precision in `descend`: losses, optimisers and parameters
    stay float32. Meta steps are float32 always, for forward-mode differentiation knows no mixed precision; on
    a GPU their products then round inputs to TF32.
    """

    losses: ClassVar[Mapping[str, tuple[str, ...]]] = {
        META: ("meta_fusion_loss", "meta_reconstruction_loss"),
        FUSION: (
            "fusion_loss",
            "reconstruction_loss",
            "intensity_weight_spread",
            "gradient_weight_spread",
        ),
    }
    """What the steps of each phase return."""

    def __init__(
        self,
        configuration: TrainingConfiguration,
        *,
        device: torch.device | str = "cpu",
        average: Average = average_of_one,
        capturable: bool = False,
    ) -> None:
        """Make the modules, fixed by the seed.

        Args:
            configuration: Settings of the run.
            device: Where modules and optimisers live, and where mini-batches have to be.
            average: Averages tensors over the processes of the run, each of which steps on its equal share
                of the joint mini-batch.
            capturable: Keep learning rates and step counts on the device, so that a CUDA graph can hold
                whole steps.
        """
        self.configuration = configuration
        self.device = torch.device(device)
        self.average = average
        if self.device.type == "cuda":
            # By default PyTorch rounds to TF32 in convolutions, whatever the precision asked for.
            rounded = configuration.precision != "float32"
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = rounded
        torch.manual_seed(configuration.seed)
        self.modules = self._make_modules()
        # Channels last: layer norm and 1x1 convolutions then read each pixel once.
        self.modules.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._forward = {name: self._forward_of(module) for name, module in self.modules.items()}
        if configuration.compile:
            self._forward = {name: torch.compile(forward) for name, forward in self._forward.items()}
        self.optimizers = {name: self._make_optimizer(name, capturable) for name in self.modules}
        for optimizer in self.optimizers.values():
            optimizer.register_load_state_dict_pre_hook(_keep_placement)

    @property
    def fusion(self) -> nn.Module:
        return self.modules["fusion"]

    @property
    def proposal(self) -> nn.Module:
        return self.modules["proposal"]

    @property
    def reconstruction(self) -> nn.Module:
        return self.modules["reconstruction"]

    def _make_modules(self) -> nn.ModuleDict:
        return nn.ModuleDict(
            {
                "fusion": FusionModule(),
                "proposal": LossProposal(balanced=self.configuration.balanced_weights),
                "reconstruction": ReconstructionModule(),
            }
        )

    def _forward_of(self, module: nn.Module) -> Callable[[Tensor], Any]:
        """Return what a module computes in training."""
        return module

    def _make_optimizer(self, name: str, capturable: bool) -> torch.optim.Optimizer:
        settings, parameters = self.configuration, self.modules[name].parameters()

        def on_device(rate: float) -> float | Tensor:
            return torch.tensor(rate, device=self.device) if capturable else rate

        if name != "proposal":
            return torch.optim.Adam(parameters, lr=on_device(settings.learning_rate), capturable=capturable)
        rate = on_device(settings.proposal_step)
        if settings.proposal_optimizer == "normalised":
            return NormalisedDescent(parameters, lr=rate)
        # Meta gradients are tiny: with the usual eps of 1e-8 Adam would hardly move P.
        return torch.optim.Adam(parameters, lr=rate, eps=1e-10, capturable=capturable)

    def batch(self, drawn: Tensor) -> Batch:
        """Return what is drawn from the source of a run as a mini-batch."""
        return Batch.from_pairs(drawn)

    def set_learning_rate(self, name: str, rate: float) -> None:
        """Set the step size of the optimiser of a module: fusion, proposal or reconstruction."""
        for group in self.optimizers[name].param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def meta(self, inner: Batch, outer: Batch, factors: LossFactors, *, move: bool) -> Tensor:
        """Accumulate one meta gradient for P; with `move`, also take P's step on the sum since its last one.

        Returns:
            (2,), on this process' share: fusion loss of the inner update, reconstruction loss of the outer
            objective.
        """
        result = accumulate_meta_gradient(
            self.fusion,
            self.proposal,
            self.reconstruction,
            inner,
            outer,
            learning_rate=self.configuration.inner_learning_rate,
            factors=factors,
            average=self.average,
        )
        if move:
            self._step("proposal")
            # Zeroed, not dropped: the gradients of the next steps accumulate in the same memory.
            self.optimizers["proposal"].zero_grad(set_to_none=False)
        return torch.stack((result.fusion, result.reconstruction))

    def descend(self, batch: Batch, factors: LossFactors, *, reconstruct: bool = True) -> Tensor:
        """One Adam step of F on the fusion loss, P frozen, and one of R on the detached fused image.

        Without `reconstruct` R is left alone, and the reconstruction loss only measured.

        Returns:
            (4,), on this process' share: fusion loss, reconstruction loss, mean |weight - 0.5| of the
            intensity and gradient maps.
        """
        weights = self._weights(batch.sources)
        fused = self._run("fusion", batch.sources)
        fusion_value = fusion_loss(fused, batch.sources, weights, factors)
        self._adam_step("fusion", fusion_value)
        with torch.set_grad_enabled(reconstruct):
            returned = self._run("reconstruction", fused.detach())
            reconstruction_value = reconstruction_loss(returned, batch.targets)
        if reconstruct:
            self._adam_step("reconstruction", reconstruction_value)
        spread = [(w - 0.5).abs().mean() for w in weights]
        return torch.stack((fusion_value.detach(), reconstruction_value.detach(), *spread))

    @torch.no_grad()
    def _weights(self, sources: Tensor) -> LossWeights:
        fixed = WEIGHTINGS.get(self.configuration.loss)
        if fixed is not None:
            return fixed(sources)
        return LossWeights(*(w.to(sources.dtype) for w in self._run("proposal", sources)))

    def _run(self, name: str, x: Tensor) -> Any:
        """Run a module on x in the precision of the run; one that returns a tensor returns it in x's type."""
        mixed = self.configuration.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=mixed):
            y = self._forward[name](x)
        return y.to(x.dtype) if isinstance(y, Tensor) else y

    def _adam_step(self, name: str, loss: Tensor) -> None:
        self.optimizers[name].zero_grad()
        loss.backward()
        self._step(name, clip=self.configuration.gradient_clip)

    def _step(self, name: str, *, clip: float = 0.0) -> None:
        self.average([p.grad for p in self.modules[name].parameters() if p.grad is not None])
        if clip:
            nn.utils.clip_grad_norm_(self.modules[name].parameters(), clip)
        self.optimizers[name].step()


def _keep_placement(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    """Let a checkpoint be loaded as this optimiser was made: one of a CPU becomes capturable on a GPU."""
    groups = []
    for own, saved in zip(optimizer.param_groups, state["param_groups"], strict=True):
        rate = float(saved["lr"])
        lr = torch.full_like(own["lr"], rate) if isinstance(own["lr"], Tensor) else rate
        kept = {"capturable": own["capturable"]} if "capturable" in own else {}
        groups.append({**saved, **kept, "lr": lr})
    return {**state, "param_groups": groups}
