"""The gate of every export: the result must equal PyTorch, on pictures and on hard inputs. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusion import ops
from refusion.backends.tensorrt.shapes import Shape
from refusion.export.precision import ExportError, Limits, Precision
from refusion.files import match_by_stem, read_image
from refusion.frames import checked_pair
from refusion.stream.synthetic import SyntheticScene

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""From float32 (N, 2, H, W) in [0, 1] to float32 (N, 1, H, W)."""

# Batch, height and width of the rendered pictures: usual, odd, and the smallest there is.
SMALL_SHAPES: tuple[Shape, ...] = ((2, 240, 320), (2, 97, 129), (2, 16, 16))
# Sums over the pixels, which FP16 cannot hold, grow with the size.
LARGE_SHAPES: tuple[Shape, ...] = ((1, 480, 640), (1, 720, 1280), (1, 1080, 1920))
HARD_SHAPES: dict[Precision, Shape] = {Precision.fp32: (1, 64, 80), Precision.fp16: (1, 240, 320)}


@dataclass(frozen=True)
class Case:
    """One input to verify on."""

    name: str
    shape: Shape | None
    """None where only loading tells."""
    load: Callable[[], NDArray[np.float32]]
    """Returns float32 (N, 2, H, W) in [0, 1]; called when its turn comes, as large ones take memory."""


Track = Callable[[Sequence[Case]], Iterable[Case]]


def untracked(cases: Sequence[Case]) -> Iterable[Case]:
    """Show no progress."""
    return cases


@dataclass(frozen=True)
class Accuracy:
    """How far a model is from PyTorch in float32, over all verified inputs."""

    inputs: int
    largest_error: float
    """Of a value in [0, 1]."""
    lowest_psnr_db: float | None
    """Of the 8-bit result on the worst input, flat ones before rounding; None: all are equal."""
    largest_levels: int
    """Of the 8-bit result, in gray levels."""
    lowest_share_within_one_level: float
    """Share of pixels, on the worst input."""


def cases_for(precision: Precision, shape: Shape | None, pairs: tuple[Path, Path] | None) -> Sequence[Case]:
    """Return the inputs that an export of that precision and shape (None: dynamic) is verified on."""
    if shape is not None:
        rendered: tuple[Shape, ...] = (shape,)
        hard = shape
    else:
        rendered = SMALL_SHAPES + (LARGE_SHAPES if precision is Precision.fp16 else ())
        hard = HARD_SHAPES[precision]
    cases = [_rendered(size) for size in rendered] + _hard(hard)
    if shape is None:
        cases.append(Case("one pixel", (1, 1, 1), lambda: np.full((1, 2, 1, 1), 0.5, np.float32)))
    return cases + (cases_from(*pairs, shape=shape) if pairs else [])


def _rendered(shape: Shape) -> Case:
    batch, height, width = shape

    def load() -> NDArray[np.float32]:
        scene = SyntheticScene(width_px=max(width, 16), height_px=max(height, 16), seed=1)
        pairs = [scene.pair(40 * index) for index in range(batch)]
        whole = np.stack([ops.preprocess(pair.a, pair.b) for pair in pairs])
        return np.ascontiguousarray(whole[..., :height, :width])

    return Case(f"{batch} rendered pair(s) of {width}x{height}", shape, load)


def _hard(shape: Shape) -> list[Case]:
    batch, height, width = shape
    size = (batch, 2, height, width)

    def checkerboard() -> NDArray[np.float32]:
        board = np.indices((height, width)).sum(axis=0) % 2
        return np.broadcast_to(board, size).astype(np.float32)

    return [
        Case("all black", shape, lambda: np.zeros(size, np.float32)),
        Case("all white", shape, lambda: np.ones(size, np.float32)),
        Case("checkerboard", shape, checkerboard),
        Case("full-range noise", shape, lambda: np.random.default_rng(0).random(size, np.float32)),
    ]


def cases_from(folder_a: Path, folder_b: Path, *, shape: Shape | None = None) -> list[Case]:
    """Return the pairs of two folders as inputs, matched by stem; with a fixed shape, resized to it."""

    def loader(path_a: Path, path_b: Path) -> Callable[[], NDArray[np.float32]]:
        def load() -> NDArray[np.float32]:
            luma = ops.preprocess(*checked_pair(read_image(path_a), read_image(path_b)))
            return luma[None] if shape is None else _resized(luma, shape)

        return load

    return [Case(stem, shape, loader(a, b)) for stem, a, b in match_by_stem(folder_a, folder_b).pairs]


def _resized(luma: NDArray[np.float32], shape: Shape) -> NDArray[np.float32]:
    import cv2

    batch, height, width = shape
    planes = [cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA) for plane in luma]
    return np.repeat(np.stack(planes)[None], batch, axis=0).astype(np.float32)


def verify(reference: Run, run: Run, cases: Iterable[Case], *, limits: Limits) -> Accuracy:
    """Compare an exported model with what it was exported from.

    Args:
        reference: Runs the original, in float32.
        run: Runs the exported model.
        cases: Inputs.
        limits: What every input must keep to.

    Raises:
        ExportError: A result is not finite or differs by more; the message says on which input and where.
    """
    results = []
    for case in cases:
        sources = case.load()
        results.append(_compared(case.name, run(sources), reference(sources), limits))
    finite = [result.lowest_psnr_db for result in results if result.lowest_psnr_db is not None]
    return Accuracy(
        inputs=len(results),
        largest_error=max(result.largest_error for result in results),
        lowest_psnr_db=min(finite, default=None),
        largest_levels=max(result.largest_levels for result in results),
        lowest_share_within_one_level=min(result.lowest_share_within_one_level for result in results),
    )


def _compared(
    name: str, found: NDArray[np.float32], expected: NDArray[np.float32], limits: Limits
) -> Accuracy:
    error = np.abs(found - expected)
    place = np.unravel_index(int(np.nan_to_num(error, nan=np.inf).argmax()), error.shape)
    pair, _, y, x = (int(index) for index in place)
    where = f"'{name}', at pair {pair}, row {y}, column {x}; nothing was written"
    if not np.isfinite(found).all():
        raise ExportError(f"the exported model gives {found[place]} on {where}")
    largest = float(error.max())
    if limits.largest_error is not None and largest > limits.largest_error:
        raise ExportError(
            f"the exported model differs from PyTorch by {largest:.2g} (allowed: {limits.largest_error:g}) "
            f"on {where}"
        )
    levels = np.abs(np.rint(found * 255) - np.rint(expected * 255))
    psnr_db, limit_db = _psnr_db(levels), limits.lowest_psnr_db
    if limit_db is not None and psnr_db is not None and psnr_db < limit_db:
        # A flat picture may lie on the border of two gray levels: there the least difference of all flips
        # every pixel, 48 dB. Then what counts is the PSNR before rounding to 8 bits.
        psnr_db = _psnr_db(255 * error)
    if limit_db is not None and psnr_db is not None and psnr_db < limit_db:
        raise ExportError(
            f"the exported model reaches {psnr_db:.1f} dB against PyTorch in FP32 (at least "
            f"{limit_db:g} dB needed), and differs by {largest:.2g}, on {where}"
        )
    return Accuracy(1, largest, psnr_db, int(levels.max()), float((levels <= 1).mean()))


def _psnr_db(levels: NDArray[np.float32]) -> float | None:
    mean_square = float(np.square(levels, dtype=np.float64).mean())
    return float(10 * np.log10(255**2 / mean_square)) if mean_square else None


def onnxruntime_runner(data: bytes, *, optimise: bool = True) -> Run:
    """Return a function that runs an ONNX on the CPU, as it is written where optimise is off."""
    from refusion.backends.onnxruntime import load_onnxruntime

    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # The arena would keep the memory of the largest input for good: gigabytes beside PyTorch's.
    options.enable_cpu_mem_arena = False
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session: Any = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return lambda sources: np.asarray(session.run(["fused"], {"sources": sources})[0])
