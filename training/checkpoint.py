"""Checkpoints of a run: written whole or not at all, read without ever running code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from refusion.errors import OutputError, WeightsError
from refusion.models.checkpoints import load_network, model_of
from refusion.models.fusion import FusionModule
from refusion.models.lite import LiteModule
from refusion.training.steps import Steps


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write a state; a kill at any moment leaves the old file or the new one.

    Raises:
        OutputError: It cannot be written; the old file is kept.
    """
    # Always the same name: what a kill leaves behind is written over by the next checkpoint.
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise OutputError(f"{path} cannot be written: {reason}") from None


def state_of(steps: Steps) -> dict[str, Any]:
    """Return the state of modules and optimisers."""
    return {
        "modules": steps.modules.state_dict(),
        "optimizers": {name: optimizer.state_dict() for name, optimizer in steps.optimizers.items()},
    }


def read_state(path: Path, steps: Steps) -> dict[str, Any]:
    """Load modules and optimisers from a state; return all of it.

    Raises:
        WeightsError: The state is damaged, or of another architecture.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        steps.modules.load_state_dict(state["modules"])
        for name, optimizer in steps.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
    except Exception as error:  # on damaged bytes the restricted unpickler raises nearly anything
        raise WeightsError(f"{path} cannot be resumed from: {first_line(error)}") from None
    return state


def start_from(path: Path, steps: Steps) -> None:
    """Load modules alone, for a new run that goes on from another's weights.

    Args:
        path: A run's state.pt or best.pt (all modules), or weights as refusion ships them (`.safetensors`:
            the network that fuses; the other modules start afresh).
        steps: Whose modules are set.

    Raises:
        WeightsError: The file is damaged, or of another architecture.
    """
    if path.suffix == ".safetensors":
        network = load_network(path)
        if type(network) is not type(steps.fusion):
            raise WeightsError(
                f"{path} holds the {model_of(network).name} network; this run trains the other"
            )
        steps.fusion.load_state_dict(network.state_dict())
        return
    try:
        steps.modules.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["modules"])
    except Exception as error:  # as in read_state
        raise WeightsError(f"{path} cannot be started from: {first_line(error)}") from None


def start_from_teacher(teacher: FusionModule, steps: Steps) -> None:
    """Give the lite network within its guided step what the teacher knows, for a new run.

    Args:
        teacher: The full network.
        steps: Of a lite network's run.
    """
    assert isinstance(steps.fusion, LiteModule)
    steps.fusion.fusion.load_state_dict(teacher.state_dict())


def first_line(error: Exception) -> str:
    """Return the first line of what an error says."""
    return (str(error).splitlines() or [type(error).__name__])[0]
