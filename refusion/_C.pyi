"""Native pre- and post-processing, for the CPU. Private: use `refusion.ops`.

Arrays may have any strides and are never copied; the work runs without the GIL, on several threads. Every
mismatch of shape or type raises a ValueError that states what was expected and what was found.
"""

import enum
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

class Chroma(enum.Enum):
    """Where the colour of the result comes from: `refusion.tasks.Chroma`, by name."""

    NONE = ...
    A = ...
    B = ...
    BOTH = ...

class BuildInfo(TypedDict):
    """How the module was compiled."""

    version: str
    """Version of the package that it was built for."""
    compiler: str
    cpp_standard: int
    """17, 20..."""
    cuda: str
    """Version of the CUDA toolkit, empty where it was compiled without."""
    simd: list[str]
    """Variants of the inner loops, best first; the loader picks the first that the processor can run."""

def preprocess(a: NDArray[np.uint8], b: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
    """Write the luma of a and b, uint8 (H, W) or (H, W, 3) BGR, divided by 255 into out, (2, H, W)."""

def postprocess(
    fused: NDArray[np.float32],
    a: NDArray[np.uint8],
    b: NDArray[np.uint8],
    chroma: Chroma,
    low: float,
    high: float,
    out: NDArray[np.uint8],
) -> None:
    """Write the finished picture into out: (H, W) for Chroma.NONE, else (H, W, 3) BGR.

    low < high must be finite. out may be a or b itself, but overlap them no other way.
    """

def value_range(fused: NDArray[np.float32]) -> tuple[float, float]:
    """Return the least and the greatest finite value of (H, W), (0, 0) if there is none."""

def is_gray(image: NDArray[np.uint8]) -> bool:
    """Tell whether the image is (H, W), or (H, W, 3) with three equal channels."""

def thread_count() -> int:
    """Return how many threads one call may use, the calling one included."""

def set_thread_count(count: int) -> None:
    """Set how many threads one call may use; small images take one anyway."""

class CudaDevice:
    """One GPU that CUDA sees."""

    @property
    def name(self) -> str: ...
    @property
    def major(self) -> int: ...
    @property
    def minor(self) -> int: ...
    @property
    def memory_bytes(self) -> int: ...
    @property
    def integrated(self) -> bool: ...

def cuda_devices() -> tuple[list[CudaDevice], str]:
    """Return the GPUs that CUDA sees and, where there are none, why."""

def build_info() -> BuildInfo:
    """Return how the module was compiled."""
