"""Where TensorRT 8 takes kernels from besides its own: cuBLAS and cuDNN, which may not be installed."""

from __future__ import annotations

import ctypes
from typing import Any

EXTERNAL = {
    "CUBLAS": ("libcublas.so.11", "libcublas.so.12"),
    "CUBLAS_LT": ("libcublasLt.so.11", "libcublasLt.so.12"),
    "CUDNN": ("libcudnn.so.8",),
}
"""Sources that 8.5 and 8.6 use by default, and the libraries of either that TensorRT is built against."""


def leave_out_missing_sources(module: Any, config: Any) -> tuple[str, ...]:
    """Switch off the sources whose libraries cannot be loaded; return their names.

    TensorRT 8.5 does not do without them by itself: the build fails with "Could not initialize cudnn". Later
    versions bring all their kernels along.
    """
    known = module.TacticSource
    sources = config.get_tactic_sources()
    missing = tuple(
        name
        for name, libraries in EXTERNAL.items()
        if hasattr(known, name)
        and sources & 1 << int(getattr(known, name))
        and not any(_loads(library) for library in libraries)
    )
    for name in missing:
        sources &= ~(1 << int(getattr(known, name)))
    if missing:
        config.set_tactic_sources(sources)
        _keep_from_the_core(module, config)
    return missing


def _keep_from_the_core(module: Any, config: Any) -> None:
    """Say the same to 8.5's core, which has a switch of its own."""
    features = getattr(module, "PreviewFeature", None)
    feature = getattr(features, "DISABLE_EXTERNAL_TACTIC_SOURCES_FOR_CORE_0805", None)
    if feature is not None:
        config.set_preview_feature(feature, True)


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
