"""Fuse a pair, and look at the weight maps that a learned fusion loss has for it.

python examples/weight_maps.py --ir ir.png --visible visible.png

The loss proposal module says at each pixel how much each source counts in the loss. It exists only in
training, and the one of the shipped weights lies beside them. Needs PyTorch: pip install 'refusion[export]'.
Without images it takes two moments of the synthetic scene.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from refusion import FramePair, Fuser, Task, ops
from refusion.files import read_image, write_image
from refusion.frames import Frame
from refusion.models.proposal import LossProposal
from refusion.stream.synthetic import SyntheticScene
from refusion.stream.views import contact_sheet
from refusion.training.teacher import Teacher

LABELS = ("infrared", "visible", "fused", "intensity", "gradient")
MOMENTS = ((0, 20), (3, 40))
"""Seed of the street, and frame."""


def drawn(weights: torch.Tensor, name: str) -> Frame:
    """Return infrared's share of the weight, (H, W), as gray levels: white where infrared counts most."""
    low, high = np.percentile(weights.numpy(), (1, 99))
    print(
        f"{name}: infrared has {low:.2f} to {high:.2f} of the weight, {float(weights.mean()):.2f} in the mean"
    )
    stretched = (weights.numpy() - low) / max(high - low, 1e-6)
    return np.rint(255 * stretched.clip(0, 1)).astype(np.uint8)


def row(pair: FramePair, fuser: Fuser, proposal: LossProposal) -> list[Frame]:
    """Return the tiles of one pair."""
    sources = torch.from_numpy(ops.preprocess(pair.a, pair.b))[None]  # luma in [0, 1], (1, 2, H, W)
    with torch.no_grad():
        weights = proposal(sources)
    maps = [drawn(weights.intensity[0, 0], "intensity"), drawn(weights.gradient[0, 0], "gradient")]
    return [pair.a, pair.b, fuser(pair.a, pair.b), *maps]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ir", type=Path)
    parser.add_argument("--visible", type=Path, help="of the same size")
    parser.add_argument("--picture", type=Path, default=Path("weight_maps.jpg"))
    options = parser.parse_args()

    if options.ir:
        pairs = [FramePair(read_image(options.ir), read_image(options.visible))]
    else:
        pairs = [SyntheticScene(width_px=320, height_px=240, seed=seed).pair(n) for seed, n in MOMENTS]
    proposal = Teacher.shipped(Task.ivif).proposal
    assert proposal is not None
    with Fuser(Task.ivif) as fuser:
        rows = [row(pair, fuser, proposal) for pair in pairs]
    write_image(options.picture, contact_sheet(rows, LABELS, tile_width_px=260), force=True)
    print(f"wrote {options.picture}")


if __name__ == "__main__":
    main()
