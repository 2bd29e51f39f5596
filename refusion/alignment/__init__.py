"""How the infrared view maps onto the visible one: the calibration, its file, and how it is estimated."""

from refusion.alignment.calibration import Adjustment, Calibration, CalibrationMethod, Crop
from refusion.alignment.calibration_file import load_calibration
from refusion.alignment.crop import coverage, with_common_view
from refusion.alignment.lens import Lens

__all__ = [
    "Adjustment",
    "Calibration",
    "CalibrationMethod",
    "Crop",
    "Lens",
    "coverage",
    "load_calibration",
    "with_common_view",
]
