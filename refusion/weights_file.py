"""What a file of weights says of itself, without loading a network."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from refusion.errors import UsageError, WeightsError
from refusion.models import Model


def stated(path: Path) -> dict[str, str]:
    """Return the metadata of a file of weights of ours; nothing where its kind has none, or it is not there.

    Raises:
        WeightsError: It is damaged, or not ours.
    """
    if not _is_file(path):
        return {}
    if path.suffix == ".onnx":
        from refusion.backends.onnxruntime import OnnxRuntimeBackend

        return OnnxRuntimeBackend(path, threads=1).metadata
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as file:
                return dict(file.metadata() or {})
        except (SafetensorError, OSError) as error:
            raise WeightsError(f"{path} is not a readable safetensors file: {error}") from None
    return {}


def _is_file(path: Path) -> bool:
    with suppress(OSError):  # whoever opens it says what is wrong with the name
        return path.is_file()
    return False


def stated_model(path: Path) -> Model | None:
    """Return the network that the file, or an engine's record, says it holds; None where it does not say.

    Raises:
        WeightsError: It is damaged, or not ours.
        BackendError: The record of an engine is damaged.
    """
    if path.suffix == ".plan":
        from refusion.backends.tensorrt.sidecar import read_sidecar

        record = read_sidecar(path)
        return None if record is None else Model.__members__.get(record.identity.model)
    metadata = stated(path)
    # ONNX models have keys of their own, so as not to meet those of other tools.
    return Model.of_architecture(metadata.get("refusion.architecture") or metadata.get("architecture"))


def refuse_other_model(path: Path, model: Model) -> None:
    """Raise UsageError if the file says that it holds another network; WeightsError as in `stated_model`."""
    found = stated_model(path)
    if found is not None and found is not model:
        raise UsageError(
            f"{path} holds the {found.name} model, not {model.name}: name another file, or leave out the "
            "model"
        )
