"""ONNX Runtime: the default where nothing faster is installed. On a GPU where its CUDA provider is there."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusion.errors import BackendError, WeightsError
from refusion.files import require_file

ARCHITECTURE_KEY = "refusion.architecture"
"""Metadata key that our exporter writes into each model."""


CUDA_PROVIDER, CPU_PROVIDER = "CUDAExecutionProvider", "CPUExecutionProvider"

logger = logging.getLogger("refusion")


def load_onnxruntime() -> ModuleType:
    """Import ONNX Runtime with its telemetry off, unless $ORT_DISABLE_TELEMETRY says otherwise.

    Official builds for Linux (from 1.29 on) report sessions and facts of the model to Microsoft over the
    network, and keep an identifier of the device in the user's cache. They look at the variable once, while
    the module is imported.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


class OnnxRuntimeBackend:
    """Runs an ONNX model that `refusion export` wrote."""

    def __init__(self, weights: Path, *, threads: int = 0, device: str = "cpu") -> None:
        """Load the model.

        Args:
            weights: The `.onnx`.
            threads: CPU threads; 0 takes all cores.
            device: "cpu"; "cuda": on a GPU or not at all; "auto": on a GPU if that works; if it should
                and does not, a warning in the log says why.

        Raises:
            InputError: There is no such file.
            WeightsError: It is not a model of ours.
            BackendError: The device is "cuda", and the runtime cannot use one.
        """
        onnxruntime = load_onnxruntime()
        self._version = onnxruntime.__version__
        require_file(weights, "model")
        self._session: Any = self._opened(weights, threads, device)
        self._check_model(weights)
        on_gpu = self._session.get_providers()[0] == CUDA_PROVIDER
        self._device_text = "CUDA" if on_gpu else "CPU"

    def _opened(self, weights: Path, threads: int, device: str) -> Any:
        onnxruntime = load_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # Bytes, not the path: a model then cannot make the runtime open other files (external data).
        model = weights.read_bytes()
        problem = ""
        if _wants_cuda(device):
            try:
                # Falling back is ours to do: the runtime's own prints to standard output.
                session = onnxruntime.InferenceSession(
                    model, options, providers=[CUDA_PROVIDER, CPU_PROVIDER], enable_fallback=0
                )
            except Exception as error:  # the runtime's exceptions have no common public base
                problem = _first_line(error)
            else:
                if session.get_providers()[0] == CUDA_PROVIDER:
                    return session
                problem = "its libraries do not load; it needs CUDA and cuDNN as its release notes say"
        try:
            session = onnxruntime.InferenceSession(model, options, providers=[CPU_PROVIDER])
        except Exception as error:  # as above
            raise WeightsError(f"{weights} is not a readable ONNX model: {_first_line(error)}") from None
        if problem and device == "cuda":
            raise BackendError(f"ONNX Runtime cannot use its CUDA provider: {problem}")
        if problem:
            logger.warning("ONNX Runtime cannot use its CUDA provider and runs on the CPU: %s", problem)
        return session

    def _check_model(self, weights: Path) -> None:
        try:
            inputs = [(value.name, value.type, len(value.shape)) for value in self._session.get_inputs()]
            outputs = [value.name for value in self._session.get_outputs()]
            metadata = self.metadata
        except UnicodeDecodeError:
            raise WeightsError(f"{weights} is damaged: names or metadata within are no text") from None
        expected = [("sources", "tensor(float)", 4)]
        if ARCHITECTURE_KEY not in metadata or inputs != expected or outputs != ["fused"]:
            raise WeightsError(
                f"{weights} is not a ReFusion model: expected the input {expected[0]}, the output 'fused' "
                f"and the metadata {ARCHITECTURE_KEY}, found {inputs} and {outputs}; "
                "`refusion export` writes such models"
            )

    @property
    def metadata(self) -> dict[str, str]:
        """What the exporter wrote into the model."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    @property
    def description(self) -> str:
        return f"ONNX Runtime {self._version}, {self._device_text}"

    def run(self, sources: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            fused: NDArray[np.float32] = self._session.run(["fused"], {"sources": sources})[0]
        except Exception as error:  # as above
            height, width = sources.shape[2:]
            raise BackendError(
                f"ONNX Runtime could not run {len(sources)} pair(s) of {width}x{height}: {_first_line(error)}"
            ) from None
        return fused

    def close(self) -> None:
        self._session = None


def _wants_cuda(device: str) -> bool:
    onnxruntime = load_onnxruntime()
    if device == "cuda":
        if CUDA_PROVIDER not in onnxruntime.get_available_providers():
            raise BackendError(
                f"this ONNX Runtime ({onnxruntime.__version__}) has no CUDA provider: "
                "`pip uninstall onnxruntime`, then `pip install onnxruntime-gpu` (on Jetson, NVIDIA's build)"
            )
        return True
    return device == "auto" and would_use_cuda()


def would_use_cuda() -> bool:
    """Tell whether this ONNX Runtime has a CUDA provider, and the machine a GPU."""
    if CUDA_PROVIDER not in load_onnxruntime().get_available_providers():
        return False
    from refusion.gpus import find_gpus

    return bool(find_gpus().gpus)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
