"""How the infrared view maps onto the visible one: the calibration, its file, and how it is estimated."""

from refusion.alignment.board import Board, calibrate_from_board
from refusion.alignment.calibration import Adjustment, Calibration, CalibrationMethod, Crop
from refusion.alignment.calibration_file import load_calibration
from refusion.alignment.crop import coverage, with_common_view
from refusion.alignment.lens import Lens
from refusion.alignment.points import calibrate_from_points, load_points
from refusion.alignment.refiner import Refiner
from refusion.alignment.scene import calibrate_from_scene

__all__ = [
    "Adjustment",
    "Board",
    "Calibration",
    "CalibrationMethod",
    "Crop",
    "Lens",
    "Refiner",
    "calibrate_from_board",
    "calibrate_from_points",
    "calibrate_from_scene",
    "coverage",
    "load_calibration",
    "load_points",
    "with_common_view",
]
