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

def preprocess(
    a: NDArray[np.uint8],
    b: NDArray[np.uint8],
    out: NDArray[np.float32],
    nodes: NDArray[np.float32] | None = None,
) -> None:
    """Write the luma of a and b, uint8 (H, W) or (H, W, 3) BGR, divided by 255 into out, (2, H, W).

    nodes: Those of a `refusion.warp.Warp` from b to a, which may then be of any size.
    """

def warp_image(image: NDArray[np.uint8], nodes: NDArray[np.float32], out: NDArray[np.uint8]) -> None:
    """Write the image, (h, w) or (h, w, 3), sampled at the places of a warp, into out: as `image`, (H, W)."""

def postprocess(
    fused: NDArray[np.float32],
    a: NDArray[np.uint8],
    b: NDArray[np.uint8],
    chroma: Chroma,
    low: float,
    high: float,
    out: NDArray[np.uint8],
    shoulder: float = 0.0,
) -> None:
    """Write the finished picture into out: (H, W) for Chroma.NONE, else (H, W, 3) BGR.

    low < high must be finite. out may be a or b itself, but overlap them no other way. Values beyond low or
    high share `shoulder` gray levels at either end.
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

class CudaImage:
    """An image in device memory that somebody else owns: pixels interleaved, rows `row_bytes` apart."""

    def __init__(
        self,
        pointer: int,
        height: int,
        width: int,
        channels: int,
        *,
        bits: int = 8,
        row_bytes: int = 0,
        levels: tuple[float, float] = (0.0, 255.0),
    ) -> None:
        """Describe it.

        Args:
            pointer: Device address (or mapped host address) of the first pixel.
            height, width: Size in pixels.
            channels: 1 (gray) or 3 (BGR).
            bits: 8 or 16 a channel.
            row_bytes: Distance of rows; 0 for rows without gaps.
            levels: Values that become 0 and 255 on the 8-bit scale, clipped outside; (0, 255) leaves 8-bit
                images as they are, without clipping work.

        Raises:
            ValueError: A number is out of range; the message states what was expected.
        """

class CudaWarp:
    """A `refusion.warp.Warp` whose nodes lie in device memory."""

    def __init__(self, nodes: int, box: tuple[float, float, float, float]) -> None:
        """Describe it: device address of the nodes, and the warp's `fade_box`."""

def cuda_preprocess(
    a: CudaImage,
    b: CudaImage,
    out: int,
    height: int,
    width: int,
    *,
    half: bool,
    stream: int,
    warp: CudaWarp | None = None,
) -> None:
    """Write luma / 255 of both to `out`, (2, height, width) in FP16 or FP32, on a stream.

    warp: Maps b and the output to a, which may then be of another size; b's luma stands in outside of a. Its
        nodes are read when the work runs: they may change between launches of a captured graph.

    All CUDA functions here only enqueue work. They raise ValueError for arguments that do not fit and
    RuntimeError, with CUDA's own words, where CUDA fails.
    """

class CudaRange(enum.Enum):
    """How `cuda_update_range` chooses: `refusion.ranges.RangePolicy`, by name."""

    image = ...
    tracked = ...

def cuda_range_state_bytes(height: int, width: int) -> int:
    """Return how many bytes of device memory the range state of a stream of that size needs."""

def cuda_reset_range(state: int, height: int, width: int, *, stream: int) -> None:
    """Make the state that of a stream of which nothing was seen."""

def cuda_update_range(
    fused: int, height: int, width: int, state: int, policy: CudaRange, *, half: bool, stream: int
) -> None:
    """Take the fused luma, (height, width) in FP16 or FP32, into the state, as `OutputRange` does."""

def cuda_postprocess(
    fused: int,
    a: CudaImage,
    b: CudaImage,
    chroma: Chroma,
    state: int,
    out: CudaImage,
    *,
    half: bool,
    stream: int,
) -> None:
    """Write the finished picture to `out`, 1 channel for Chroma.NONE, else 3.

    state: Range state to stretch by; 0 leaves the values as they are, 0 to 1.
    """

class CudaGraph:
    """Work captured from a stream, to be launched as one. Freed with the object."""

    def launch(self, stream: int) -> None:
        """Enqueue the whole work."""

def cuda_begin_capture(stream: int) -> None:
    """Begin to capture what this thread enqueues on the stream, instead of running it."""

def cuda_end_capture(stream: int) -> CudaGraph:
    """End the capture and instantiate what was captured."""

def build_info() -> BuildInfo:
    """Return how the module was compiled."""

def has_bfloat16() -> bool:
    """Tell whether "avx512_bf16" can run here too: the full network with bfloat16 products."""

def instruction_sets() -> list[str]:
    """Return the builds of the networks that can run here, best first: avx512, avx2, baseline; neon."""

class FusionNetwork:
    """The full network on the CPU; use `refusion.backends.native`."""

    def __init__(
        self, tensors: dict[str, NDArray[np.float32]], *, instruction_set: str = "", threads: int = 0
    ) -> None:
        """Read the tensors of FusionModule's state dict, by its names."""

    def run(self, sources: NDArray[np.float32]) -> NDArray[np.float32]:
        """Fuse (N, 2, H, W) into (N, 1, H, W)."""

    @property
    def instruction_set(self) -> str: ...
