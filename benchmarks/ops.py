"""Times C++ pre- and post-processing against the definition in NumPy/OpenCV, in one run.

    python -m refusion.benchmarks.ops [--json FILE] [--repeats N] [--threads N]

Both write into arrays made before. The two take turns on every repeat, so that whatever else the machine
does falls on both.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np

from refusion.benchmarks.measurement import machine, median_ms, print_facts, write_report
from refusion.ops import reference
from refusion.tasks import Chroma

SIZES = ((480, 640), (1080, 1920))
RANGE = (0.05, 0.95)


@dataclass(frozen=True)
class Timing:
    """One operation on one size of image; times are medians."""

    height_px: int
    width_px: int
    operation: str
    numpy_ms: float
    native_ms: float

    @property
    def ratio(self) -> float:
        """How many times faster the native code is."""
        return self.numpy_ms / self.native_ms


def operations(height_px: int, width_px: int) -> dict[str, Callable[[ModuleType], None]]:
    """Return what is timed, by name; each takes the module to run it with."""
    random = np.random.default_rng(0)
    gray = random.integers(0, 256, (height_px, width_px), np.uint8)
    a, b = random.integers(0, 256, (2, height_px, width_px, 3), np.uint8)
    fused = random.random((height_px, width_px), np.float32)
    sources = np.empty((2, height_px, width_px), np.float32)
    picture, gray_picture = np.empty_like(a), np.empty_like(gray)
    return {
        "pre, gray + colour": lambda ops: ops.preprocess(gray, b, sources),
        "pre, colour + colour": lambda ops: ops.preprocess(a, b, sources),
        "post, colour of b": lambda ops: ops.postprocess(fused, gray, b, Chroma.B, *RANGE, picture),
        "post, colour of both": lambda ops: ops.postprocess(fused, a, b, Chroma.BOTH, *RANGE, picture),
        "post, gray": lambda ops: ops.postprocess(fused, gray, gray, Chroma.NONE, *RANGE, gray_picture),
        "value range": lambda ops: ops.value_range(fused),
    }


def keep_freed_memory() -> None:
    """Let the C library keep freed blocks, as it does once a process has freed a large one.

    Otherwise it returns NumPy's temporaries to the system at every call, and page faults alone can make the
    definition look four times slower than it is in a process that has run for a while.
    """
    np.ones(30 * 1024 * 1024, np.uint8)  # glibc adapts to freed blocks of up to 32 MiB


def measure(native: ModuleType, repeats: int) -> list[Timing]:
    """Time every operation on every size."""
    timings = []
    for height_px, width_px in SIZES:
        for name, run in operations(height_px, width_px).items():
            numpy_ms, native_ms = median_ms([lambda: run(reference), lambda: run(native)], repeats)  # noqa: B023
            timings.append(Timing(height_px, width_px, name, numpy_ms, native_ms))
    return timings


def table(timings: Sequence[Timing]) -> str:
    """Return the timings as a Markdown table."""
    lines = ["| size | operation | NumPy/OpenCV p50 | C++ p50 | ratio |", "|---|---|---|---|---|"]
    for t in timings:
        size = f"{t.width_px}x{t.height_px}"
        lines.append(
            f"| {size} | {t.operation} | {t.numpy_ms:.2f} ms | {t.native_ms:.2f} ms | {t.ratio:.1f}x |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write JSON if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write machine and times there too")
    parser.add_argument("--repeats", type=int, default=50, help="measured turns of each operation")
    parser.add_argument("--threads", type=int, help="threads of both implementations (default: their own)")
    options = parser.parse_args(arguments)
    try:
        from refusion import _C
        from refusion.ops import native
    except ImportError as error:
        parser.error(f"there is nothing to compare: {error}; build it with a C++17 compiler: pip install .")
    if options.threads is not None:
        _C.set_thread_count(options.threads)
        cv2.setNumThreads(options.threads)
    facts = {**machine(), "native_threads": _C.thread_count(), "native_build": _C.build_info()}
    keep_freed_memory()
    timings = measure(native, options.repeats)
    print_facts(facts)
    print(table(timings))
    write_report(options.json, facts, repeats=options.repeats, timings=[asdict(t) for t in timings])


if __name__ == "__main__":
    main()
