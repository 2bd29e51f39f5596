"""Makes the figures of the documentation from the generated scene and the shipped weights.

python docs/make_figures.py
"""

from __future__ import annotations

from pathlib import Path

from refusion import Fuser
from refusion.files import write_image
from refusion.stream.synthetic import SyntheticScene
from refusion.stream.views import contact_sheet

FIGURES = Path(__file__).parent / "figures"


def overview() -> None:
    """One moment of the scene: infrared, visible, fused."""
    pair = SyntheticScene(seed=0).pair(0)
    with Fuser("ivif") as fuser:
        fused = fuser(pair.a, pair.b)
    labels = ("infrared: people, no signs", "visible: signs, people in smoke and shadow", "fused: both")
    sheet = contact_sheet([[pair.a, pair.b, fused]], labels, tile_width_px=420)
    write_image(FIGURES / "overview.png", sheet, force=True)


if __name__ == "__main__":
    overview()
