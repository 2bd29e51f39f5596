"""Checks the CUDA operations against the CPU's, and times them against a copy of as many bytes on the device.

    bash benchmarks/gpu/run.sh ops [--replays N]

Prints one line a comparison and a Markdown table; writes ops.json to $OUT. It ends with status 1 if an
operation is wrong. What is timed is a CUDA graph of calls, each on memory of its own, together more than
the caches hold; the copy moves as many bytes, in a graph of as many calls.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from refusion.benchmarks.measurement import machine
from refusion.warp import Warp

SIZES = ((480, 640), (720, 1280), (1080, 1920), (2160, 3840))
GOAL = 0.70
"""Share of the copy's bandwidth."""
RING_MIB = 512
"""Memory that the calls of one graph go through: several times the largest second-level cache."""
FEWEST_CALLS = 8
MOST_CALLS = 512
WARM_UP = 10
REGISTRATION = np.array([[1.01, 0.02, -3.0], [-0.02, 0.99, 4.0], [1e-6, -2e-6, 1.0]])
"""Homography from the output to a warped source of the same size."""

Call = Callable[[int], None]
"""Enqueues one call on a stream."""


@dataclass(frozen=True)
class Timing:
    """One operation on one size; times are of one call within a graph."""

    operation: str
    precision: str
    height_px: int
    width_px: int
    moved_bytes: int
    calls: int
    p50_us: float
    p99_us: float
    copy_p50_us: float

    @property
    def gb_per_s(self) -> float:
        """Bytes read and written, per second."""
        return self.moved_bytes / self.p50_us / 1e3

    @property
    def ratio(self) -> float:
        """Share of the copy's bandwidth."""
        return self.copy_p50_us / self.p50_us


def calls_of_a_graph(moved_bytes: int) -> int:
    """Return how many calls go through RING_MIB, within bounds."""
    return min(MOST_CALLS, max(FEWEST_CALLS, -(-RING_MIB * 2**20 // moved_bytes)))


class Operations:
    """Makes calls of each operation, each on memory of its own."""

    def __init__(self, native: Any, height: int, width: int, *, half: bool) -> None:
        import torch

        self._native, self._torch = native, torch
        self._size, self._half = (height, width), half
        self._value_bytes = 2 if half else 4
        self._dtype = torch.float16 if half else torch.float32
        self._warp = Warp.of_homography(REGISTRATION, size=(width, height), source_size=(width, height))

    def moved_bytes(self) -> dict[str, int]:
        """Return the bytes that each operation reads and writes, by name."""
        pixels, value = self._size[0] * self._size[1], self._value_bytes
        return {
            "pre, gray + BGR": pixels * (1 + 3 + 2 * value),
            "pre, warped gray + BGR": pixels * (1 + 3 + 2 * value) + self._warp.nodes.nbytes,
            "range": pixels * value,
            "post, colour of b": pixels * (value + 3 + 3),
            "post, colour of both": pixels * (value + 6 + 3),
        }

    def call(self, name: str) -> Call:
        """Return a call of an operation on new memory, which it keeps."""
        return {"pre": self._pre, "ran": self._range, "pos": self._post}[name[:3]](name)

    def _bytes(self, channels: int) -> Any:
        return self._torch.randint(256, (*self._size, channels), dtype=self._torch.uint8, device="cuda")

    def _image(self, tensor: Any) -> Any:
        return self._native.CudaImage(tensor.data_ptr(), *tensor.shape)

    def _pre(self, name: str) -> Call:
        a, b = self._bytes(1), self._bytes(3)
        out = self._torch.empty((2, *self._size), dtype=self._dtype, device="cuda")
        images = self._image(a), self._image(b)
        nodes = self._torch.tensor(self._warp.nodes, device="cuda")
        warp = self._native.CudaWarp(nodes.data_ptr(), self._warp.fade_box) if "warped" in name else None

        def call(stream: int, _kept: object = (a, b, out, nodes)) -> None:
            pointer = out.data_ptr()
            self._native.cuda_preprocess(
                *images, pointer, *self._size, half=self._half, stream=stream, warp=warp
            )

        return call

    def _fused(self) -> Any:
        return self._torch.rand(self._size, device="cuda").to(self._dtype)

    def _range(self, name: str) -> Call:
        fused = self._fused()
        state = self._torch.zeros(
            self._native.cuda_range_state_bytes(*self._size), dtype=self._torch.uint8, device="cuda"
        )
        tracked = self._native.CudaRange.tracked

        def call(stream: int) -> None:
            pointers = (fused.data_ptr(), *self._size, state.data_ptr())
            self._native.cuda_update_range(*pointers, tracked, half=self._half, stream=stream)

        return call

    def _post(self, name: str) -> Call:
        both = name.endswith("both")
        fused, a, b, out = self._fused(), self._bytes(3 if both else 1), self._bytes(3), self._bytes(3)
        images = self._image(a), self._image(b)
        chroma = self._native.Chroma.BOTH if both else self._native.Chroma.B
        picture = self._image(out)

        def call(stream: int, _kept: object = (a, b, out)) -> None:
            arguments = (fused.data_ptr(), *images, chroma, 0, picture)
            self._native.cuda_postprocess(*arguments, half=self._half, stream=stream)

        return call

    def copy(self, moved_bytes: int) -> Call:
        """Return a copy that reads and writes as many bytes."""
        source = self._torch.zeros(moved_bytes // 2, dtype=self._torch.uint8, device="cuda")
        target = self._torch.empty_like(source)

        def call(stream: int) -> None:
            target.copy_(source)

        return call


def graph_times_us(native: Any, calls: Sequence[Call], replays: int) -> np.ndarray:
    """Return the time of one call in each replay of a graph of all calls."""
    import torch

    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for call in calls:
            call(stream.cuda_stream)
        stream.synchronize()
        native.cuda_begin_capture(stream.cuda_stream)
        for call in calls:
            call(stream.cuda_stream)
        graph = native.cuda_end_capture(stream.cuda_stream)
        events = [torch.cuda.Event(enable_timing=True) for _ in range(replays + WARM_UP + 1)]
        for event in events:
            event.record()
            graph.launch(stream.cuda_stream)
        stream.synchronize()
    times_ms = [start.elapsed_time(end) for start, end in itertools.pairwise(events)]
    return np.array(times_ms[WARM_UP:]) * 1e3 / len(calls)


def measure(native: Any, replays: int) -> Iterator[Timing]:
    """Time every operation on every size, each beside its copy."""
    import torch

    for height, width in SIZES:
        for half in (True, False):
            operations = Operations(native, height, width, half=half)
            for name, moved in operations.moved_bytes().items():
                count = calls_of_a_graph(moved)
                times = graph_times_us(native, [operations.call(name) for _ in range(count)], replays)
                copies = graph_times_us(native, [operations.copy(moved) for _ in range(count)], replays)
                p50, p99 = np.percentile(times, (50, 99))
                yield Timing(
                    operation=name,
                    precision="FP16" if half else "FP32",
                    height_px=height,
                    width_px=width,
                    moved_bytes=moved,
                    calls=count,
                    p50_us=float(p50),
                    p99_us=float(p99),
                    copy_p50_us=float(np.median(copies)),
                )
                torch.cuda.empty_cache()


def table(timings: Sequence[Timing]) -> str:
    """Return the timings as a Markdown table."""
    lines = [
        f"| size | operation | p50 us | p99 us | GB/s | copy p50 us | share of the copy (goal {GOAL:.0%}) |",
        "|---|---|---|---|---|---|---|",
    ]
    for t in timings:
        cells = (
            f"{t.width_px}x{t.height_px}",
            f"{t.operation}, {t.precision}",
            *(f"{t.p50_us:.2f}", f"{t.p99_us:.2f}", f"{t.gb_per_s:.0f}", f"{t.copy_p50_us:.2f}"),
            f"{t.ratio:.0%}" + ("" if t.ratio >= GOAL else ", missed"),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Check, time, write, and fail where an operation is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replays", type=int, default=100, help="measured replays of each graph")
    options = parser.parse_args(arguments)
    from refusion import _C

    devices, problem = _C.cuda_devices()
    if not devices:
        raise SystemExit(f"there is no GPU to measure: {problem}")
    import torch

    from refusion.benchmarks.gpu.ops_check import differences

    found = differences(_C)
    print(f"CUDA against CPU; at most {found[0].limit:.0f} gray level is allowed")
    for difference in found:
        verdict = "ok  " if difference.passed else "FAIL"
        print(f"{verdict} {difference.operation}: {difference.levels:.4f} gray levels off")
    timings = list(measure(_C, options.replays))
    print(f"\n{devices[0].name}, torch {torch.__version__}\n\n{table(timings)}")
    folder = Path(os.environ.get("OUT", "out/gpu"))
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "machine": {
            **machine(),
            "gpu": devices[0].name,
            "build": _C.build_info(),
            "torch": torch.__version__,
        },
        "differences": [{**d._asdict(), "passed": d.passed} for d in found],
        "goal": GOAL,
        "timings": [{**asdict(t), "gb_per_s": t.gb_per_s, "ratio": t.ratio} for t in timings],
    }
    (folder / "ops.json").write_text(json.dumps(content, indent=1) + "\n")
    if not all(difference.passed for difference in found):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
