"""The identity of an engine that tests vary."""

from __future__ import annotations

from refusion.backends.tensorrt.identity import EngineIdentity, ShapeProfile
from refusion.backends.tensorrt.library import Flavour

DYNAMIC = ShapeProfile((1, 64, 64), (1, 480, 640), (4, 1080, 1920))
IDENTITY = EngineIdentity(
    task="ivif",
    model="full",
    precision="fp16",
    checkpoint_sha256="c" * 64,
    onnx_sha256="0" * 64,
    flavour=Flavour.tensorrt,
    tensorrt_version="10.3.0",
    platform="linux-x86_64",
    gpu_name="NVIDIA H200",
    compute_capability="sm90",
    profile=DYNAMIC,
    workspace_mib=4096,
    optimization_level=None,
    is_tf32_allowed=True,
)
