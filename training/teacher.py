"""What the lite network learns from: a trained full network, and the loss proposal module of its training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from refusion.errors import UsageError, WeightsError
from refusion.files import replacing, require_file
from refusion.models.checkpoints import load_fusion
from refusion.models.fusion import FusionModule
from refusion.models.proposal import LossProposal, LossWeights
from refusion.tasks import Task
from refusion.training.losses import WEIGHTINGS
from refusion.weights import FOLDER, sha256, shipped_weights

PROPOSAL_ARCHITECTURE = "refusion-proposal"


@dataclass(frozen=True)
class Teacher:
    """A full fusion network, and what weighs the sources in its loss; neither learns any more."""

    fusion: FusionModule
    proposal: LossProposal | None
    """None: the loss has fixed weights."""

    @classmethod
    def shipped(cls, task: Task) -> Teacher:
        """Return the shipped weights of a task, with the module that proposed their loss.

        Raises:
            WeightsError: They are missing from the installation.
        """
        files = shipped_weights(task)
        entry = files.manifest["files"]["proposal"]
        path = FOLDER / entry["name"]
        if not path.is_file() or sha256(path) != entry["sha256"]:
            raise WeightsError(f"{path} is missing or differs from its manifest; reinstall refusion")
        return cls(load_fusion(files.safetensors), load_proposal(path))

    @classmethod
    def read(cls, path: Path) -> Teacher:
        """Return the teacher in a file.

        Args:
            path: A training run's state.pt or best.pt (both modules), or any weights of the full network.

        Raises:
            InputError: There is no such file.
            WeightsError: It is damaged, or holds no full network.
        """
        fusion = load_fusion(path)
        if path.suffix != ".pt":
            return cls(fusion, None)
        # Readable: the fusion module was just read from it.
        content = torch.load(path, map_location="cpu", weights_only=True)
        return cls(fusion, _proposal_of(path, content) if "modules" in content else None)

    def state(self) -> dict[str, Any]:
        """Return what `read` needs, in the form of a run's state."""
        modules = {f"fusion.{name}": value for name, value in self.fusion.state_dict().items()}
        balanced = False
        if self.proposal is not None:
            modules |= {f"proposal.{name}": value for name, value in self.proposal.state_dict().items()}
            balanced = self.proposal.balanced
        return {"modules": modules, "configuration": {"balanced_weights": balanced}}

    def to(self, device: torch.device) -> Teacher:
        """Move the modules to a device, in the memory format that they run best in; return the teacher."""
        for module in (self.fusion, self.proposal):
            if module is not None:
                module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return self

    def weighting(self, loss: str) -> Callable[[Tensor], LossWeights]:
        """Return what weighs sources, (N, 2, H, W), in a loss: learned, or fixed (equal, maximum).

        Raises:
            UsageError: The loss is learned, and the teacher has nothing that proposes it.
        """
        if loss in WEIGHTINGS:
            return WEIGHTINGS[loss]
        if self.proposal is None:
            raise UsageError(
                "the teacher's file holds no loss proposal module: take state.pt or best.pt of a training "
                "run, the shipped weights (leave out --teacher), or a fixed loss (loss=equal)"
            )
        return self.proposal


def _proposal_of(path: Path, content: dict[str, Any]) -> LossProposal | None:
    prefix = "proposal."
    state = {
        name.removeprefix(prefix): value
        for name, value in content["modules"].items()
        if isinstance(name, str) and name.startswith(prefix)
    }
    if not state:
        return None
    configuration = content.get("configuration")
    if not isinstance(configuration, dict):
        raise WeightsError(f"{path} is no state of a training run: it holds no configuration")
    return _with_state(LossProposal(balanced=bool(configuration.get("balanced_weights"))), state, path)


def _with_state(proposal: LossProposal, state: dict[str, Tensor], path: Path) -> LossProposal:
    try:
        proposal.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise WeightsError(f"{path} holds another loss proposal module: {reason}") from None
    return proposal.eval()


def load_proposal(path: Path) -> LossProposal:
    """Load a loss proposal module from a `.safetensors` file.

    Raises:
        InputError: There is no such file.
        WeightsError: It is damaged, or holds something else.
    """
    from safetensors import SafetensorError, safe_open

    require_file(path, "loss proposal module")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is not a readable safetensors file: {error}") from None
    return _with_state(LossProposal(balanced=metadata.get("balanced") == "true"), state, path)


def save_proposal(proposal: LossProposal, path: Path, *, task: str) -> None:
    """Write a loss proposal module as safetensors."""
    from safetensors.torch import save

    tensors = {name: value.detach().cpu().contiguous() for name, value in proposal.state_dict().items()}
    metadata = {
        "architecture": PROPOSAL_ARCHITECTURE,
        "task": task,
        "balanced": str(proposal.balanced).lower(),
    }
    with replacing(path, force=True) as partial:
        partial.write_bytes(save(tensors, metadata=metadata))
