"""PyTorch: runs checkpoints as they are, official ones too. Slower than ONNX Runtime; for comparison."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refusion.errors import BackendError


class TorchBackend:
    """Runs a checkpoint in PyTorch eager mode, float32, on the CPU."""

    def __init__(self, weights: Path, *, threads: int = 0) -> None:
        import torch

        from refusion.models.checkpoints import load_network

        self._module = load_network(weights)
        self._module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if threads:
            torch.set_num_threads(threads)

    @property
    def description(self) -> str:
        import torch

        return f"PyTorch {torch.__version__}, CPU"

    def run(self, sources: NDArray[np.float32]) -> NDArray[np.float32]:
        import torch

        try:
            with torch.inference_mode():
                # PyTorch writes to no input, but warns of arrays that it could not write to.
                batch = torch.from_numpy(np.require(sources, requirements=["C", "W"]))
                fused = self._module(batch.contiguous(memory_format=torch.channels_last))
        except RuntimeError as error:
            height, width = sources.shape[2:]
            reason = str(error).splitlines()[0]
            raise BackendError(
                f"PyTorch could not run {len(sources)} pair(s) of {width}x{height}: {reason}"
            ) from None
        array: NDArray[np.float32] = fused.contiguous().numpy()
        return array

    def close(self) -> None:
        """Nothing to free before the object goes."""
