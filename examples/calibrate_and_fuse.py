"""Calibrate two cameras from the scene they see, then fuse with that calibration.

python examples/calibrate_and_fuse.py --ir ir_folder --visible visible_folder

Without sources it makes a thermal camera of its own, smaller and shifted, from the built-in synthetic scene.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np

import refusion
from refusion.alignment import calibrate_from_scene
from refusion.files import match_by_stem, read_image
from refusion.stream.synthetic import SyntheticScene


def write_cameras(folder: Path, frames: int = 3) -> tuple[Path, Path]:
    """Write infrared (160x120, shifted and zoomed) and visible (320x240) of one scene as folders."""
    infrared, visible = folder / "ir", folder / "visible"
    infrared.mkdir()
    visible.mkdir()
    view = np.float32([[0.55, 0, -6.0], [0, 0.55, -4.0]])
    for index in range(frames):
        pair = SyntheticScene(width_px=320, height_px=240, seed=1).pair(10 * index)
        small = cv2.warpAffine(pair.a, view, (160, 120), flags=cv2.INTER_AREA)
        cv2.imwrite(str(infrared / f"{index:03d}.png"), small)
        cv2.imwrite(str(visible / f"{index:03d}.png"), pair.b)
    return infrared, visible


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ir", type=Path, help="folder of infrared images")
    parser.add_argument("--visible", type=Path, help="folder of visible images with the same names")
    parser.add_argument("-o", "--output", type=Path, default=Path("fused"))
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as scratch:
        folders = (options.ir, options.visible) if options.ir else write_cameras(Path(scratch))
        pairs = [(read_image(a), read_image(b)) for _, a, b in match_by_stem(*folders).pairs]
        calibration = calibrate_from_scene(pairs)
        print(f"{calibration.method}: residual {calibration.residual_px:.2f} px")
        calibration.save(Path(scratch) / "calibration.yaml", force=True)
        with refusion.open_stream(
            ir=folders[0],
            visible=folders[1],
            calibration=Path(scratch) / "calibration.yaml",
            out=options.output,
            force=True,
        ) as stream:
            print(f"{sum(1 for _ in stream)} frames in {options.output}")


if __name__ == "__main__":
    main()
