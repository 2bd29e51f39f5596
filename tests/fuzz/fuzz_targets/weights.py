"""Files of weights: safetensors, PyTorch checkpoints, ONNX models."""

from __future__ import annotations

import io
import re
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from tiny_onnx import write_tiny_onnx

from refusion.backends import native
from refusion.backends.onnxruntime import OnnxRuntimeBackend
from refusion.errors import RefusionError
from refusion.export.onnx_source import read_source
from refusion.weights import shipped_weights
from refusion.weights_file import stated_model

from .target import Target, file_parser

_STORAGE_BYTES = 8
"""Of each tensor of the checkpoints: PyTorch refuses a file with more or less."""


def _safetensors() -> list[bytes]:
    """Files, and headers alone, of which the target makes files."""
    from safetensors.numpy import save

    tensors = {"expand.weight": np.ones((2, 1, 1, 1), np.float32), "output.bias": np.zeros(2, np.float32)}
    files = [
        save(tensors, {"architecture": f"refusion-{model}", "task": "ivif"}) for model in ("full", "lite")
    ]
    headers = [file[8 : 8 + int.from_bytes(file[:8], "little")].rstrip() for file in files]
    types = ("BF16", "F16", "F64", "F8_E4M3", "I64", "BOOL", "C64")
    tensor = '{{"head.weight":{{"dtype":"{}","shape":[0],"data_offsets":[0,0]}}}}'
    return [*files, *headers, *(tensor.format(name).encode() for name in types)]


def _read_safetensors(path: Path) -> None:
    header = path.read_bytes()
    if header.startswith(b"{"):
        # The length in front and the values behind would never fit a header that was changed.
        ends = [int(end) for end in re.findall(rb'"data_offsets": ?\[ ?\d+, ?(\d{1,4})]', header)]
        path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(max(ends, default=0)))
    from refusion.models.checkpoints import load_network

    # Each reader by itself: what one refuses shall reach the others.
    readers = [stated_model, load_network]
    if native.is_built():
        readers.append(native.NativeBackend)
    refusals = []
    for read in readers:
        try:
            read(path)
        except RefusionError as error:
            refusals.append(error)
    if refusals:
        raise refusals[0]


def _archive(pickled: bytes) -> bytes:
    """Return a checkpoint of a pickle: the checksums within would keep changed ones from being read."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/version", "3\n")
        for index in range(2):
            archive.writestr(f"archive/data/{index}", bytes(_STORAGE_BYTES))
    return buffer.getvalue()


def _pickle_of(archive: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        name = next(name for name in opened.namelist() if name.endswith("data.pkl"))
        return opened.read(name)


def _checkpoints() -> list[bytes]:
    import torch

    def saved(content: object) -> bytes:
        buffer = io.BytesIO()
        torch.save(content, buffer)
        return buffer.getvalue()

    tensors = {"expand.weight": torch.ones(2, 1, 1, 1), "output.bias": torch.zeros(2)}
    run = {"modules": {f"fusion.{name}": value for name, value in tensors.items()}, "steps": 3}
    files = [saved(tensors), saved(run), saved({7: torch.ones(2)})]
    return [files[0], *map(_pickle_of, files)]


def _read_checkpoint(path: Path) -> None:
    from refusion.models.checkpoints import load_network

    content = path.read_bytes()
    if content.startswith(b"\x80"):
        path.write_bytes(_archive(content))
    load_network(path)


def _read_teacher(path: Path) -> None:
    from refusion.training.teacher import Teacher

    Teacher.read(path)


def _runs() -> list[bytes]:
    """A run's state that is accepted: the shipped network within it."""
    import torch
    from safetensors.torch import load_file

    from refusion.tasks import Task

    tensors = load_file(shipped_weights(Task.ivif).safetensors)
    buffer = io.BytesIO()
    torch.save({"modules": {f"fusion.{name}": value for name, value in tensors.items()}}, buffer)
    return [buffer.getvalue()]


def _onnx() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.onnx"
        forms = ({"form": "layernorm"}, {"form": "decomposed", "precision": "fp32", "shape": (1, 8, 8)})
        return [write_tiny_onnx(path, **form).read_bytes() for form in forms]


def _read_onnx(path: Path) -> None:
    backend = OnnxRuntimeBackend(path, threads=1)
    try:
        stated_model(path)
        read_source(path)
    finally:
        backend.close()


TARGETS = (
    Target(
        "safetensors",
        file_parser("weights.safetensors", _read_safetensors),
        _safetensors,
        ("refusion.models", "refusion.backends.native", "refusion.weights_file", "safetensors"),
        needs=("torch",),
    ),
    Target(
        "checkpoint",
        file_parser("weights.pth", _read_checkpoint),
        _checkpoints,
        ("refusion.models",),
        needs=("torch",),
        is_text=False,
    ),
    Target(
        "teacher",
        file_parser("state.pt", _read_teacher),
        _runs,
        ("refusion.training.teacher", "refusion.models"),
        needs=("torch",),
        is_text=False,
        longest_bytes=1 << 21,
    ),
    Target(
        "onnx",
        file_parser("model.onnx", _read_onnx),
        _onnx,
        ("refusion.backends.onnxruntime", "refusion.export.onnx_source"),
        needs=("onnx",),
        is_text=False,
    ),
)
