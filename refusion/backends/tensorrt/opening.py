"""From a plan to what runs it: on the GPU from end to end where that was compiled, else the network alone."""

from __future__ import annotations

import logging
from pathlib import Path

from refusion.backends.tensorrt.device import cuda_device
from refusion.backends.tensorrt.loading import LoadedEngine, load_engine
from refusion.executor import CpuExecutor, Executor
from refusion.timing import StageClock

logger = logging.getLogger("refusion")


def open_engine(plan: Path, clock: StageClock, *, trust: bool, rebuild: bool) -> Executor:
    """Load an engine and return its executor.

    Args:
        plan: The `.plan`.
        clock: Times the stages.
        trust: Whether a foreign engine may be loaded.
        rebuild: Whether one that does not fit may be built anew, which takes minutes.

    Raises:
        InputError, BackendError: See load_engine and TensorRTExecutor.
    """
    device = cuda_device()
    with device.active(f"loading {plan.name}"):
        loaded = load_engine(plan, trust=trust, rebuild=rebuild, report=logger.warning)
    for note in loaded.notes:
        logger.warning("%s: %s", loaded.path, note)
    return _executor(loaded, clock)


def _executor(loaded: LoadedEngine, clock: StageClock) -> Executor:
    if _has_cuda_operations():
        from refusion.backends.tensorrt.executor import TensorRTExecutor

        return TensorRTExecutor(loaded, clock)
    from refusion.backends.tensorrt.backend import TensorRTBackend

    return CpuExecutor(TensorRTBackend(loaded), clock)


def _has_cuda_operations() -> bool:
    try:
        from refusion import _C
    except ImportError:
        return False
    return bool(_C.build_info()["cuda"])
