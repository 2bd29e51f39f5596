"""Makes the figures of the documentation from the generated scene and the shipped weights.

python docs/scripts/make_figures.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from refusion import Fuser
from refusion.files import write_image
from refusion.ops.reference import luma
from refusion.stream.synthetic import SyntheticScene
from refusion.stream.views import contact_sheet
from refusion.training.synthetic_exposure import exposure_pair
from refusion.training.synthetic_focus import focus_pair

FIGURES = Path(__file__).parents[1] / "figures"
EXAMPLES = Path(__file__).parents[2] / "examples"
LITE_MOMENTS = ((0, 45), (3, 40))
"""Seed of the street, and frame."""
DETAIL = np.s_[180:330, 190:390]
"""People in smoke, and signs."""


def overview() -> None:
    """One moment of the scene: infrared, visible, fused."""
    pair = SyntheticScene(seed=0).pair(0)
    with Fuser("ivif") as fuser:
        fused = fuser(pair.a, pair.b)
    labels = ("infrared: people, no signs", "visible: signs, people in smoke and shadow", "fused: both")
    sheet = contact_sheet([[pair.a, pair.b, fused]], labels, tile_width_px=420)
    write_image(FIGURES / "overview.png", sheet, force=True)


def lite() -> None:
    """The full and the lite network at a moment of two streets; below, a detail of each."""
    rows = []
    with Fuser("ivif") as full, Fuser("ivif", model="lite") as lite:
        for seed, index in LITE_MOMENTS:
            pair = SyntheticScene(seed=seed).pair(index)
            row = [pair.a, pair.b, full(pair.a, pair.b), lite(pair.a, pair.b)]
            rows += [row, [frame[DETAIL] for frame in row]]
    sheet = contact_sheet(rows, ("infrared", "visible", "full", "lite"), tile_width_px=300)
    write_image(FIGURES / "comparison_lite.jpg", sheet, force=True)


def synthetic_pairs() -> None:
    """Near and far focus, under- and over-exposure, made from one image of the scene."""
    image = luma(SyntheticScene(seed=0).pair(0).b)[80:400, 120:480] / np.float32(255)
    rows = []
    for seed in (3, 5):
        made = [
            *focus_pair(image, np.random.default_rng(seed)),
            *exposure_pair(image, np.random.default_rng(seed)),
        ]
        rows.append([np.rint(255 * plane).astype(np.uint8) for plane in (image, *made)])
    labels = ("the image", "near focus", "far focus", "under-exposed", "over-exposed")
    write_image(FIGURES / "synthetic-pairs.png", contact_sheet(rows, labels, tile_width_px=220), force=True)


def examples() -> None:
    """The pictures that the examples make of the scene, the last of them in some minutes."""
    for name in ("weight_maps", "calibrate_and_fuse", "train_on_your_cameras"):
        picture = FIGURES / f"example_{name}.jpg"
        with tempfile.TemporaryDirectory() as scratch:
            command = [sys.executable, EXAMPLES / f"{name}.py", "--picture", picture]
            subprocess.run(command, cwd=scratch, check=True)


if __name__ == "__main__":
    overview()
    lite()
    synthetic_pairs()
    examples()
