"""What an engine is: its identity, and the record that is kept of it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refusion.backends.tensorrt.installation import this_architecture
from refusion.backends.tensorrt.library import Flavour
from refusion.backends.tensorrt.shapes import Shape, ShapeProfile, shape_text
from refusion.models import Model

__all__ = ["EngineIdentity", "EngineRecord", "ShapeProfile"]

FORMAT = 1
"""Version of the record's format; a change of any field's meaning raises it."""
PLAN_SUFFIX = ".plan"


@dataclass(frozen=True)
class EngineIdentity:
    """Everything that decides what a plan computes and where it runs. Equal identities, equal use."""

    task: str
    model: str
    precision: str
    checkpoint_sha256: str
    onnx_sha256: str
    flavour: Flavour
    tensorrt_version: str
    platform: str
    """Operating system and CPU: plans do not move between them. For instance "linux-x86_64"."""
    gpu_name: str
    """Empty where the plan is compiled for a compute capability and not timed on a GPU."""
    compute_capability: str
    """For instance "sm89"."""
    profile: ShapeProfile
    workspace_mib: int | None
    """None: the library's own limit."""
    optimization_level: int | None
    """None: the library's own level."""
    is_tf32_allowed: bool

    def key(self) -> str:
        """Return the SHA-256 of the canonical JSON: it changes with every field and with nothing else."""
        return hashlib.sha256(canonical_json(self.to_json())).hexdigest()

    def file_name(self) -> str:
        """Return the plan's file name: for people at its front, for the machine at its end."""
        name = "-".join(
            (
                self.task,
                self.model,
                self.precision,
                shape_text(self.profile.optimum),
                self.compute_capability,
                f"{self.flavour.value.text}{self.tensorrt_version}",
                self.key()[:12],
            )
        )
        return re.sub(r"[^A-Za-z0-9._+-]", "_", name) + PLAN_SUFFIX

    def export_command(self) -> str:
        """Return the command that builds such an engine."""
        profile = self.profile
        sizes = {
            name: shape_text(shape)[len(str(shape[0])) + 1 :]
            for name, shape in (("min", profile.minimum), ("opt", profile.optimum), ("max", profile.maximum))
        }
        parts = [f"refusion export --task {self.task}{model_option(self.model)} --{self.precision}"]
        if len(set(sizes.values())) == 1:
            parts.append(f"--shape {sizes['opt']}")
        else:
            parts.extend(f"--{name}-shape {size}" for name, size in sizes.items())
        if profile.maximum[0] > 1:
            parts.append(f"--batch {profile.maximum[0]}")
        parts.append(f"--format {self.flavour.value.text}")
        return " ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return dataclasses.asdict(self) | {"flavour": self.flavour.value.text}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> EngineIdentity:
        """Return the identity of JSON fields; ValueError, KeyError or TypeError where they are not one."""
        fields = _checked(cls, data)
        fields["flavour"] = Flavour.parse(data["flavour"])
        fields["profile"] = ShapeProfile(**{name: _shape(shape) for name, shape in data["profile"].items()})
        return cls(**fields)


@dataclass(frozen=True)
class EngineRecord:
    """The sidecar's content: an engine's identity, and what came of the build."""

    identity: EngineIdentity
    plan_sha256: str
    plan_bytes: int
    onnx_file: str
    """Name of the ONNX that it was built from; a folder is not part of it."""
    accuracy: dict[str, Any]
    """Of the ONNX against FP32, as its export measured it."""
    verification: dict[str, Any]
    """Of this plan against FP32, on the GPU that it was built on; empty where it was not run."""
    refusion_version: str
    built_at: str
    """UTC, ISO 8601."""
    build_seconds: float
    signature: str = ""
    """HMAC of the rest with the builder's key; empty if there was no key."""

    def signed_content(self) -> bytes:
        """Return what the signature covers: everything else."""
        return canonical_json(dataclasses.replace(self, signature="").to_json())

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON types, with the format's version."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {"format": FORMAT} | fields | {"identity": self.identity.to_json()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> EngineRecord:
        """Return the record of JSON fields; ValueError, KeyError or TypeError where they are not one."""
        data = {name: value for name, value in data.items() if name != "format"}
        fields = _checked(cls, data)
        if data["onnx_file"] != Path(data["onnx_file"]).name:
            raise ValueError("'onnx_file' is not the bare name of a file")
        return cls(**fields | {"identity": EngineIdentity.from_json(data["identity"])})


def model_option(model: str) -> str:
    """Return what asks the command line for a network; nothing for the one that it takes by itself."""
    return "" if model == Model.full.name else f" --model {model}"


def this_platform() -> str:
    """Return the operating system and CPU as an identity names them, for instance "linux-x86_64"."""
    return f"{sys.platform}-{this_architecture().lower()}"


def canonical_json(data: dict[str, Any]) -> bytes:
    """Return the one encoding of JSON data that hashes and signatures are of."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def finite(data: dict[str, Any]) -> dict[str, Any]:
    """Return measurements as JSON can hold them: what is not finite (the PSNR of equal images) is None."""
    return {
        name: finite(value)
        if isinstance(value, dict)
        else None
        if isinstance(value, float) and not math.isfinite(value)
        else value
        for name, value in data.items()
    }


# By the annotations of the records; their `from_json` take care of what is not listed.
_SIMPLE = {
    "str": (str,),
    "int": (int,),
    "int | None": (int, type(None)),
    "float": (float, int),
    "bool": (bool,),
    "dict[str, Any]": (dict,),
}


def _checked(cls: Any, data: dict[str, Any]) -> dict[str, Any]:
    fields = {field.name: str(field.type) for field in dataclasses.fields(cls)}
    unknown = data.keys() - fields.keys()
    if unknown:
        raise ValueError(f"unknown fields {', '.join(sorted(unknown))}")
    for name, annotation in fields.items():
        value = data[name]
        allowed = _SIMPLE.get(annotation, (object,))
        # A bool is an int to isinstance.
        if not isinstance(value, allowed) or (isinstance(value, bool) and annotation not in ("bool",)):
            raise ValueError(f"'{name}' is {value!r:.60}")
    return dict(data)


def _shape(value: Any) -> Shape:
    batch, height, width = value
    for number in (batch, height, width):
        if not isinstance(number, int) or isinstance(number, bool):
            raise ValueError(f"{value!r:.60} is no shape")
    return batch, height, width
