"""Times C++ pre- and post-processing against the definition in NumPy/OpenCV, in one run.

    python -m refusion.benchmarks.ops [--json FILE] [--repeats N] [--threads N]

Pre-processing through a warp is timed against OpenCV's remap, whose map is made before and so not timed,
followed by pre-processing without. Everything is written into arrays made before. What is compared takes
turns on every repeat, so that whatever else the machine does falls on both.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np

from refusion.benchmarks.facts import facts
from refusion.benchmarks.measurement import median_ms, print_facts, write_report
from refusion.benchmarks.reports import Report
from refusion.ops import reference
from refusion.tasks import Chroma
from refusion.warp import Warp

FORMAT = "refusion-ops-1"
SIZES = ((480, 640), (1080, 1920))
INFRARED_SIZES = ((120, 160), (512, 640))
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


@dataclass(frozen=True)
class WarpTiming:
    """Pre-processing of gray infrared of one size and colour of another; times are medians."""

    height_px: int
    width_px: int
    infrared_height_px: int
    infrared_width_px: int
    plain_ms: float
    """C++ without a warp, of infrared that has the size already."""
    remap_ms: float
    """OpenCV's remap, then C++ without a warp."""
    warped_ms: float
    """C++ through the warp."""


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


def registration(size_px: tuple[int, int], infrared_px: tuple[int, int]) -> Warp:
    """Return a warp as of two cameras side by side: turned by half a degree, a border outside of infrared."""
    (height, width), (infrared_height, infrared_width) = size_px, infrared_px
    scale = 1.1 * min(infrared_height / height, infrared_width / width)
    turn = np.deg2rad(0.5)
    cosine, sine = scale * np.cos(turn), scale * np.sin(turn)
    x = (infrared_width - cosine * width + sine * height) / 2
    y = (infrared_height - sine * width - cosine * height) / 2
    matrix = np.array([[cosine, -sine, x], [sine, cosine, y], [0.0, 0.0, 1.0]])
    return Warp.of_homography(matrix, size=(width, height), source_size=(infrared_width, infrared_height))


def measure_warps(native: ModuleType, repeats: int) -> list[WarpTiming]:
    """Time pre-processing through warps on every size."""
    random = np.random.default_rng(0)
    timings = []
    for size_px in SIZES:
        for infrared_px in INFRARED_SIZES:
            warp = registration(size_px, infrared_px)
            infrared = random.integers(0, 256, infrared_px, np.uint8)
            colour = random.integers(0, 256, (*size_px, 3), np.uint8)
            out, remapped = np.empty((2, *size_px), np.float32), np.empty(size_px, np.uint8)
            # Floats: what remap of OpenCV 5 is fastest with, by half.
            places = warp.places_of(np.arange(size_px[1]), np.arange(size_px[0]))

            def plain() -> None:
                native.preprocess(remapped, colour, out)  # noqa: B023

            def with_remap() -> None:
                cv2.remap(infrared, places, None, cv2.INTER_LINEAR, dst=remapped)  # type: ignore[call-overload]  # noqa: B023
                plain()

            def through_warp() -> None:
                native.preprocess(infrared, colour, out, warp)  # noqa: B023

            times = median_ms([plain, with_remap, through_warp], repeats)
            timings.append(WarpTiming(*size_px, *infrared_px, *times))
    return timings


def warp_table(timings: Sequence[WarpTiming]) -> str:
    """Return the timings as a Markdown table."""
    lines = [
        "| size | infrared | pre without a warp | cv2.remap, then pre | pre through the warp | ratio |",
        "|---|---|---|---|---|---|",
    ]
    for t in timings:
        cells = (
            f"{t.width_px}x{t.height_px}",
            f"{t.infrared_width_px}x{t.infrared_height_px}",
            *(f"{ms:.2f} ms" for ms in (t.plain_ms, t.remap_ms, t.warped_ms)),
            f"{t.remap_ms / t.warped_ms:.1f}x",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def table(timings: Sequence[Timing]) -> str:
    """Return the timings as a Markdown table."""
    lines = ["| size | operation | NumPy/OpenCV p50 | C++ p50 | ratio |", "|---|---|---|---|---|"]
    for t in timings:
        size = f"{t.width_px}x{t.height_px}"
        lines.append(
            f"| {size} | {t.operation} | {t.numpy_ms:.2f} ms | {t.native_ms:.2f} ms | {t.ratio:.1f}x |"
        )
    return "\n".join(lines)


def report_table(report: Report) -> str:
    """Return a report's timings as a Markdown table."""
    return table([Timing(**timing) for timing in report["timings"]])


def report_warp_table(report: Report) -> str:
    """Return a report's timings through warps as a Markdown table."""
    return warp_table([WarpTiming(**timing) for timing in report["warps"]])


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
    keep_freed_memory()
    timings, warps = measure(native, options.repeats), measure_warps(native, options.repeats)
    found = facts(options.threads or 0)
    print_facts(found)
    print(f"{table(timings)}\n\n{warp_table(warps)}")
    write_report(
        options.json,
        FORMAT,
        found,
        repeats=options.repeats,
        timings=[asdict(t) for t in timings],
        warps=[asdict(t) for t in warps],
    )


if __name__ == "__main__":
    main()
