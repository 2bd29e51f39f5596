"""A thermal and a colour camera, from calibration to the fused stream.

python examples/calibrate_and_fuse.py --ir ir_folder --visible visible_folder

Infrared may be of 16 bits. Without sources it makes a thermal camera of its own from the synthetic scene: 16
bits, a quarter of the pixels, another field of view, a third of the frames.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np

import refusion
from refusion.alignment import Calibration, calibrate_from_scene
from refusion.files import read_raw_image, write_image
from refusion.frames import Frame
from refusion.stream.synthetic import SyntheticScene
from refusion.stream.views import contact_sheet
from refusion.thermal import GainControl

RATES_HZ = 9, 27
LABELS = ("infrared, as it comes", "visible", "fused without calibration", "fused with it")


def write_cameras(folder: Path) -> tuple[Path, Path]:
    """Write what a thermal camera (160x120, 16 bits) and a colour camera (320x240) see of one scene."""
    infrared, visible = folder / "ir", folder / "visible"
    infrared.mkdir()
    visible.mkdir()
    view = np.float32([[0.55, 0, -6.0], [0, 0.55, -4.0]])
    for index in range(9):
        pair = SyntheticScene(width_px=320, height_px=240, seed=1).pair(index)
        write_image(visible / f"{index:03d}.png", pair.b)
        if index % 3 == 0:
            small = cv2.warpAffine(pair.a, view, (160, 120), flags=cv2.INTER_AREA)
            cv2.imwrite(str(infrared / f"{index:03d}.png"), 7000 + 4 * small.astype(np.uint16))
    return infrared, visible


def calibrated(infrared: Path, visible: Path) -> Calibration:
    """Return how infrared lies on visible, from the first frames of both: edges that both cameras see."""
    raw, picture = (read_raw_image(min(folder.iterdir())) for folder in (infrared, visible))
    return calibrate_from_scene([(GainControl()(raw, time_ns=0).image, picture)])


def last_frame(infrared: Path, visible: Path, calibration: Path | None, output: Path | None) -> list[Frame]:
    """Fuse both folders as a stream; return infrared, visible and the fused picture of the last frame."""
    rates = {"ir_rate_hz": RATES_HZ[0], "visible_rate_hz": RATES_HZ[1]}
    with refusion.open_stream(
        ir=infrared, visible=visible, calibration=calibration, out=output, force=True, **rates
    ) as stream:
        *_, last = stream
        print(f"{stream.status().frames} frames fused")
    return [last.infrared, last.visible, last.fused]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ir", type=Path, help="folder of infrared images")
    parser.add_argument("--visible", type=Path, help="folder of visible images")
    parser.add_argument("-o", "--output", type=Path, default=Path("fused"), help="folder of the fused images")
    parser.add_argument("--picture", type=Path, default=Path("calibrate_and_fuse.jpg"))
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as scratch:
        infrared, visible = (options.ir, options.visible) if options.ir else write_cameras(Path(scratch))
        calibration = calibrated(infrared, visible)
        print(f"calibrated: residual {calibration.residual_px:.2f} pixels of the visible picture")
        file = Path(scratch) / "calibration.yaml"
        calibration.save(file)
        before = last_frame(infrared, visible, None, None)
        after = last_frame(infrared, visible, file, options.output)
    write_image(options.picture, contact_sheet([[*before, after[-1]]], LABELS, tile_width_px=320), force=True)
    print(f"wrote {options.picture} and {options.output}")


if __name__ == "__main__":
    main()
