"""The gate of every export: the exported model must equal PyTorch, on pictures and on hard inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from refusion import ops
from refusion.errors import RefusionError
from refusion.files import match_by_stem, read_image
from refusion.frames import checked_pair
from refusion.stream.synthetic import SyntheticScene

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
Case = tuple[str, NDArray[np.float32]]

# Width and height of the generated cases: usual, odd, and the smallest there is.
SIZES_PX = ((320, 240), (129, 97), (16, 16))


class ExportError(RefusionError):
    """The exported model does not compute what the checkpoint computes; nothing was written."""


def generated_cases() -> Iterator[Case]:
    """Yield named inputs, float32 (N, 2, H, W) in [0, 1]: rendered scenes, then hard inputs."""
    for width, height in SIZES_PX:
        scene = SyntheticScene(width_px=width, height_px=height, seed=1)
        pairs = [scene.pair(index) for index in (0, 40)]
        yield (
            f"2 rendered pairs of {width}x{height}",
            np.stack([ops.preprocess(pair.a, pair.b) for pair in pairs]),
        )
    random = np.random.default_rng(0)
    shape = (1, 2, 64, 80)
    checkerboard = np.indices(shape[2:]).sum(axis=0) % 2
    yield "all black", np.zeros(shape, np.float32)
    yield "all white", np.ones(shape, np.float32)
    yield "checkerboard", np.broadcast_to(checkerboard, shape).astype(np.float32)
    yield "full-range noise", random.random(shape, np.float32)
    yield "one pixel", np.full((1, 2, 1, 1), 0.5, np.float32)


def cases_from(folder_a: Path, folder_b: Path) -> Iterator[Case]:
    """Yield the pairs of two folders as inputs, matched by stem."""
    for stem, path_a, path_b in match_by_stem(folder_a, folder_b).pairs:
        yield stem, ops.preprocess(*checked_pair(read_image(path_a), read_image(path_b)))[None]


def verify(module: nn.Module, run: Run, cases: Iterator[Case], *, tolerance: float) -> float:
    """Compare the exported model with the module; return the largest absolute error.

    Args:
        module: What was exported, float32.
        run: Runs the exported model on float32 (N, 2, H, W) and returns (N, 1, H, W).
        cases: Inputs with their names.
        tolerance: Largest error allowed, in [0, 1].

    Raises:
        ExportError: A result is not finite or differs by more; the message says on which input and where.
    """
    worst = 0.0
    for name, sources in cases:
        with torch.inference_mode():
            expected = module(torch.from_numpy(sources)).numpy()
        found = run(sources)
        error = np.abs(found - expected)
        # NaN compares false with everything, so ask for what must hold.
        if not (error <= tolerance).all():
            place = np.unravel_index(int(np.nan_to_num(error, nan=np.inf).argmax()), error.shape)
            pair, _, y, x = (int(index) for index in place)
            raise ExportError(
                f"the exported model differs from PyTorch by {error[place]:.2g} (allowed: {tolerance:g}) on "
                f"'{name}', pair {pair}, row {y}, column {x}; nothing was written"
            )
        worst = max(worst, float(error.max()))
    return worst
