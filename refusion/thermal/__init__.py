"""Thermal input: 16-bit frames, automatic gain control, shutter events, and palettes for display."""

from refusion.thermal.gain import GainControl, ThermalPicture
from refusion.thermal.palettes import Palette
from refusion.thermal.policies import AgcPolicy

__all__ = ["AgcPolicy", "GainControl", "Palette", "ThermalPicture"]
