"""Shows what the modules of training runs make of one pair: a row a run, the proposed weight maps among it.

    python docs/scripts/make_weight_maps.py --a IMAGE --b IMAGE --runs "learned=RUN" ... -o SHEET.png

Weight maps are those of source a, drawn from 0 (black) to 1 (white): gray is 1/2.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from refusion.files import read_image, write_image
from refusion.ops.reference import luma
from refusion.stream.views import contact_sheet
from refusion.training.checkpoint import start_from
from refusion.training.configuration import TrainingConfiguration
from refusion.training.steps import Steps
from refusion.training.validation import PANEL_PX, Validation

LABELS = ("source a", "source b", "fused", "intensity weight", "gradient weight", "a again", "b again")


def main() -> None:
    """Parse the command line and write the sheet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--a", type=Path, required=True)
    parser.add_argument("--b", type=Path, required=True)
    parser.add_argument("--runs", nargs="+", required=True, metavar="LABEL=RUN")
    parser.add_argument("--width", type=int, default=170, help="pixels a column")
    parser.add_argument("--output", "-o", type=Path, required=True)
    options = parser.parse_args()
    pair = np.stack([luma(read_image(path)) / np.float32(255) for path in (options.a, options.b)])
    rows = []
    for item in options.runs:
        run = Path(item.partition("=")[2])
        record = json.loads((run / "settings.json").read_text())["configuration"]
        steps = Steps(TrainingConfiguration.of_record(record))
        start_from(run / "state.pt", steps)
        panels = Validation((pair,), PANEL_PX).panels(steps.modules)
        rows.append([np.rint(255 * panel.clip(0, 1)).astype(np.uint8) for panel in panels.values()])
    write_image(options.output, contact_sheet(rows, LABELS, tile_width_px=options.width), force=True)
    print("rows:", ", ".join(item.partition("=")[0] for item in options.runs))


if __name__ == "__main__":
    main()
