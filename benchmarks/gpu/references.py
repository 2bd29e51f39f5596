"""Computes in float32 what engines are compared with, where PyTorch is; and the rates that bound them.

    bash benchmarks/gpu/run.sh references [--sizes 640x480 ...]

Writes rendered frames, the network's input made of them and its float32 result to
/tmp/refusion-gpu/references: the job `engines` runs under a Python without PyTorch.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refusion import ops
from refusion.benchmarks.gpu.folders import THERE, start
from refusion.benchmarks.gpu.limits import Rates
from refusion.errors import InputError
from refusion.frames import Frame
from refusion.stream.synthetic import SyntheticScene
from refusion.tasks import Task

FOLDER = THERE / "references"
SIZES = ("640x480", "1280x720", "1920x1080")
PAIRS = 2
RATES_FILE = "rates.json"


@dataclass(frozen=True)
class Reference:
    """Pairs of one size, and what the network makes of them."""

    size: str
    a: tuple[Frame, ...]
    b: tuple[Frame, ...]
    sources: NDArray[np.float32]
    """(pairs, 2, H, W)."""
    fused: NDArray[np.float32]
    """(pairs, 1, H, W)."""

    def batch(self, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return input and result of a batch, the pairs in turns."""
        order = np.arange(count) % len(self.sources)
        return np.ascontiguousarray(self.sources[order]), self.fused[order]

    def frames(self, count: int) -> list[tuple[Frame, Frame]]:
        """Return the frames of a batch, the pairs in turns."""
        return [(self.a[i % len(self.a)], self.b[i % len(self.b)]) for i in range(count)]

    def save(self, folder: Path) -> None:
        """Write it to a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(folder / f"{self.size}.npz", a=self.a, b=self.b, sources=self.sources, fused=self.fused)

    @classmethod
    def load(cls, size: str, folder: Path = FOLDER) -> Reference:
        """Read it from a folder.

        Raises:
            InputError: It was not computed.
        """
        path = folder / f"{size}.npz"
        if not path.is_file():
            command = f"bash benchmarks/gpu/run.sh references --sizes {size}"
            raise InputError(f"there is no {path}: run `{command}`")
        with np.load(path) as saved:
            return cls(size, tuple(saved["a"]), tuple(saved["b"]), saved["sources"], saved["fused"])


def load_rates(folder: Path = FOLDER) -> Rates:
    """Return the rates that were measured when the references were computed."""
    return Rates(**json.loads((folder / RATES_FILE).read_text()))


def compute(size: str, device: str) -> Reference:
    """Render pairs of a size and fuse them in float32, TF32 off."""
    import torch

    from refusion.benchmarks.gpu.forms import FORMS
    from refusion.models.checkpoints import load_fusion
    from refusion.weights import shipped_weights

    width_px, height_px = (int(side) for side in size.split("x"))
    scene = SyntheticScene(width_px=width_px, height_px=height_px, seed=1)
    pairs = [scene.pair(10 * index) for index in range(PAIRS)]
    sources = np.stack([ops.preprocess(pair.a, pair.b) for pair in pairs])
    module = load_fusion(shipped_weights(Task.ivif).safetensors).eval().to(device)
    with torch.inference_mode(), FORMS["fp32"].settings():
        fused = [module(torch.from_numpy(pair[None]).to(device)).cpu().numpy() for pair in sources]
    a, b = tuple(pair.a for pair in pairs), tuple(pair.b for pair in pairs)
    return Reference(size, a, b, sources, np.concatenate(fused))


def main(arguments: Sequence[str] | None = None) -> None:
    """Compute all sizes, and measure the rates."""
    import torch

    from refusion.benchmarks.gpu.stopwatch import measure_rates

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", default=SIZES, metavar="WxH")
    sizes = parser.parse_args(arguments).sizes
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for size in sizes:
        compute(size, device).save(FOLDER)
    rates = measure_rates(device)
    (FOLDER / RATES_FILE).write_text(json.dumps(asdict(rates)) + "\n")
    print(f"references for {', '.join(sizes)} are in {FOLDER}; {rates}")


if __name__ == "__main__":
    start(main)
