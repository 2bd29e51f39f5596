"""The native engine: the networks in refusion's own C++, on the CPU. The fastest there, where built."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusion.errors import BackendError, UsageError, WeightsError
from refusion.files import require_file
from refusion.models import Model
from refusion.weights_file import stated_model

MODULE = "refusion._C"
_NETWORKS = {Model.full: "FusionNetwork", Model.lite: "LiteNetwork"}
_BYTES_PER_PIXEL = {Model.full: 128, Model.lite: 13}
BFLOAT16 = "avx512_bf16"
"""The instruction set whose products are of bfloat16: full model only, never chosen unasked."""
_NAMES = {
    "avx512": "AVX-512",
    BFLOAT16: "AVX-512 with bfloat16 products",
    "avx2": "AVX2",
    "neon": "NEON",
    "baseline": "SSE2",
}


def is_built() -> bool:
    """Tell whether the compiled module is there, and was built with the networks."""
    if importlib.util.find_spec(MODULE) is None:
        return False
    return all(hasattr(_module(), network) for network in _NETWORKS.values())


def has_bfloat16() -> bool:
    """Tell whether this machine can run the full network with bfloat16 products."""
    return is_built() and _module().has_bfloat16()


def detail(*, bfloat16: bool = False) -> str:
    """Return the instruction set that runs would use, for people."""
    return f"C++, {_NAMES[BFLOAT16 if bfloat16 else _module().instruction_sets()[0]]}"


class NativeBackend:
    """Runs a checkpoint in C++ on the CPU: in float32 equal to PyTorch within 1e-5.

    With bfloat16 products (`instruction_set=BFLOAT16`) a frame takes about 0.8 of the time, and the fused
    luma is up to 0.0033 off, 0.0003 in the mean: at most one gray level (the reference cases).
    """

    def __init__(self, weights: Path, *, threads: int = 0, instruction_set: str = "") -> None:
        """Load the weights.

        Args:
            weights: A `.safetensors` of ours; where PyTorch is installed, also a `.pt` of a training run or
                an official `.pth`.
            threads: CPU threads; 0 takes all cores.
            instruction_set: One of `refusion._C.instruction_sets()`, or BFLOAT16; empty: the best of float32.

        Raises:
            InputError: There is no such file.
            WeightsError: It is damaged or holds another network.
            UsageError: The network has no bfloat16 form.
            BackendError: The file needs PyTorch, which is not installed, or there is no such instruction set.
        """
        module = _module()
        able = ["", *module.instruction_sets()] + [BFLOAT16] * module.has_bfloat16()
        if instruction_set not in able:
            raise BackendError(
                f"this machine has no instruction set '{instruction_set}'; it has {', '.join(able[1:])}"
            )
        if threads > module.thread_count():
            module.set_thread_count(threads)
        model, tensors = _read(weights)
        if instruction_set == BFLOAT16 and model is not Model.full:
            raise UsageError(f"the {model.name} model has no bfloat16 form; use the backend native")
        self._model = model
        create = getattr(module, _NETWORKS[model])
        try:
            self._network: Any = create(tensors, instruction_set=instruction_set, threads=threads)
        except ValueError as error:
            raise WeightsError(f"{weights} holds another network than {model.name}: {error}") from None
        self.description = f"native C++, {_NAMES[self._network.instruction_set]}, CPU"

    def run(self, sources: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            fused: NDArray[np.float32] = self._network.run(sources)
        except MemoryError:
            height, width = sources.shape[2:]
            raise BackendError(
                f"not enough memory for a frame of {width}x{height}: the {self._model.name} network needs "
                f"{height * width * _BYTES_PER_PIXEL[self._model] / 2**20:.0f} MiB"
            ) from None
        return fused

    def close(self) -> None:
        self._network = None


def _module() -> Any:
    # By name: there is no stub for it, and it may be missing.
    return importlib.import_module(MODULE)


def _read(path: Path) -> tuple[Model, dict[str, NDArray[np.float32]]]:
    require_file(path, "checkpoint")
    if path.suffix == ".safetensors":
        from safetensors.numpy import load_file

        model = stated_model(path) or Model.full
        try:
            tensors = load_file(path)
        except (KeyError, TypeError, ValueError, AttributeError) as error:  # types that NumPy does not have
            raise WeightsError(
                f"{path} has tensors of a type that the native engine does not read: {error}"
            ) from None
    else:
        model, tensors = _read_through_torch(path)
    for name, value in tensors.items():
        if value.dtype.kind != "f":
            raise WeightsError(f"{path} holds {name} as {value.dtype}; the native engine reads float16 to 64")
        if not np.isfinite(value).all():
            raise WeightsError(f"{path} is damaged: {name} has values that are NaN or infinite")
    return model, {name: np.ascontiguousarray(value, np.float32) for name, value in tensors.items()}


def _read_through_torch(path: Path) -> tuple[Model, dict[str, NDArray[np.float32]]]:
    if importlib.util.find_spec("torch") is None:
        raise BackendError(
            f"{path.name} can be read by PyTorch only, which is not installed: pip install 'refusion[export]'"
        )
    from refusion.models.checkpoints import load_network, model_of

    module = load_network(path)
    return model_of(module), {name: value.numpy() for name, value in module.state_dict().items()}
