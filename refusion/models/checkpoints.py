"""Checkpoints of the networks that fuse: our safetensors files and the official ReFusion `.pth` files.

Nothing here ever unpickles code: safetensors holds tensors only, and `.pth` files are read with
`weights_only=True`, which refuses everything but tensors and plain containers.
"""

from __future__ import annotations

import pickle
import re
import warnings
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from refusion.errors import WeightsError
from refusion.files import replacing, require_file
from refusion.models import Model
from refusion.models.fusion import FusionModule
from refusion.models.lite import LiteModule

FusionNetwork = FusionModule | LiteModule

_MODULES: dict[Model, type[FusionNetwork]] = {Model.full: FusionModule, Model.lite: LiteModule}
_FLOATS = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})

_BLOCK_NAMES = {
    "norm1.body": "attention_norm",
    "attn.temperature": "attention.temperature",
    "attn.qkv": "attention.qkv.0",
    "attn.qkv_dwconv": "attention.qkv.1",
    "attn.project_out": "attention.out",
    "norm2.body": "feed_forward_norm",
    "ffn.project_in": "feed_forward.gate.0",
    "ffn.dwconv": "feed_forward.gate.1",
    "ffn.project_out": "feed_forward.out",
}
_STACKS = {"encoder1": "encoder_a", "encoder2": "encoder_b", "decoder": "decoder"}
_OFFICIAL_NAMES = {
    "project_in_1": "input_a",
    "project_in_2": "input_b",
    "FM.temperature1": "cross.temperature_a",
    "FM.temperature2": "cross.temperature_b",
    "FM.qkv1": "cross.qkv_a.0",
    "FM.qkv1_dwconv": "cross.qkv_a.1",
    "FM.qkv2": "cross.qkv_b.0",
    "FM.qkv2_dwconv": "cross.qkv_b.1",
    "FM.project_mid1": "cross.mix_a",
    "FM.project_mid2": "cross.mix_b",
    "FM.project_E": "cross.gate.0",
    "FM.project_E_d": "cross.gate.1",
    "FM.project_E1": "cross.value_a.0",
    "FM.project_E1_d": "cross.value_a.1",
    "FM.project_E2": "cross.value_b.0",
    "FM.project_E2_d": "cross.value_b.1",
    "FM.project_out1": "cross.out_a",
    "FM.project_out2": "cross.out_b",
    "project_out_0": "head",
    "project_out_1": "output",
    **{
        f"{official}.{index}.{name}": f"{ours}.{index}.{our_name}"
        for official, ours in _STACKS.items()
        for index in range(2)
        for name, our_name in _BLOCK_NAMES.items()
    },
}


def _from_official(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename an official state dict; of each convolution's two identical copies keep one."""
    renamed: dict[str, Tensor] = {}
    for name, value in state.items():
        # NAME.conv.weight is the layer's own parameter, NAME.weight the twin that official training used.
        stem, _, leaf = re.sub(r"\.conv\.weight$", ".weight", name).rpartition(".")
        key = _OFFICIAL_NAMES.get(name) or f"{_OFFICIAL_NAMES.get(stem, stem)}.{leaf}"
        if key in renamed and not torch.equal(renamed[key], value):
            raise WeightsError(f"the two copies of {stem} differ: this checkpoint was not saved by ReFusion")
        renamed[key] = value
    return renamed


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch muses about the pickle protocol of foreign files
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on hostile bytes the restricted unpickler raises nearly anything
        if isinstance(error, pickle.UnpicklingError) and "GLOBAL" in str(error):
            raise WeightsError(
                f"{path} was refused: it holds more than tensors, and loading it could run its code"
            ) from None
        raise WeightsError(
            f"{path} is not a readable checkpoint: it is damaged or of another format"
        ) from None
    if isinstance(state, dict) and isinstance(state.get("modules"), dict):
        return _of_run(state["modules"])
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) and _holds_numbers(value)
        for name, value in state.items()
    ):
        raise WeightsError(f"{path} holds no state dict of a network (names and tensors of floats)")
    return _from_official(state)


def _holds_numbers(value: Tensor) -> bool:
    """Tell a tensor of ordinary floats: files may hold sparse, quantised, meta and 8-bit ones, too."""
    return value.layout is torch.strided and value.device.type == "cpu" and value.dtype in _FLOATS


def _of_run(modules: dict[Any, Any]) -> dict[str, Tensor]:
    """Return the fusion module's part of a training run's state.pt or best.pt."""
    prefix = "fusion."
    return {
        name.removeprefix(prefix): value
        for name, value in modules.items()
        if isinstance(name, str) and name.startswith(prefix) and isinstance(value, Tensor)
    }


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is not a readable safetensors file: {error}") from None


def load_network(path: Path) -> FusionNetwork:
    """Load the network that a file holds, full or lite.

    Args:
        path: `.safetensors` of ours, `.pt` of a training run (state.pt, best.pt), or an official `.pth`.

    Returns:
        The module in evaluation mode, float32, on the CPU.

    Raises:
        InputError: There is no such file.
        WeightsError: It is damaged, holds code, or holds another network; the message names what differs.
    """
    state = _read(path)
    # The names tell them apart in every kind of file; a run's state has no metadata.
    is_lite = any(name.startswith("fusion.") for name in state)
    return _loaded(path, state, Model.lite if is_lite else Model.full)


def load_fusion(path: Path) -> FusionModule:
    """Load the full fusion module from a file, as `load_network` does.

    Raises:
        InputError, WeightsError: As in `load_network`; another network than the full one is refused.
    """
    return cast(FusionModule, _loaded(path, _read(path), Model.full))


def model_of(module: FusionNetwork) -> Model:
    """Return which of the networks a module is."""
    return next(model for model, kind in _MODULES.items() if isinstance(module, kind))


def _read(path: Path) -> dict[str, Tensor]:
    require_file(path, "checkpoint")
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)


def _loaded(path: Path, state: dict[str, Tensor], model: Model) -> FusionNetwork:
    module = _MODULES[model]()
    _check_architecture(path, state, module.state_dict(), model)
    module.load_state_dict(state)
    return module.eval()


def _check_architecture(
    path: Path, found: dict[str, Tensor], expected: dict[str, Tensor], model: Model
) -> None:
    missing = sorted(expected.keys() - found.keys())
    unknown = sorted(found.keys() - expected.keys())
    if missing or unknown:
        example = f"it lacks {missing[0]}" if missing else f"it has {unknown[0]}"
        raise WeightsError(
            f"{path} holds another network than the {model.name} fusion module: {len(missing)} tensors are "
            f"missing and {len(unknown)} unknown ({example})"
        )
    for name, value in expected.items():
        if found[name].shape != value.shape:
            raise WeightsError(
                f"{path} holds another network than the {model.name} fusion module: {name} is "
                f"{tuple(found[name].shape)}, not {tuple(value.shape)}"
            )
        if not _holds_numbers(found[name]):
            raise WeightsError(f"{path} holds {name} as {found[name].dtype}; weights are dense floats")
        if not torch.isfinite(found[name]).all():
            raise WeightsError(f"{path} is damaged: {name} has values that are NaN or infinite")


def save_network(module: FusionNetwork, path: Path, *, task: str) -> None:
    """Write a network as safetensors, with its architecture and task in the metadata."""
    from safetensors.torch import save

    tensors = {name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()}
    metadata = {"architecture": model_of(module).value.architecture, "task": task}
    with replacing(path, force=True) as partial:
        partial.write_bytes(save(tensors, metadata=metadata))
