"""A synthetic source: a street at night, seen by an infrared and a visible camera at once."""

from refusion.stream.synthetic.scene import SyntheticScene

__all__ = ["SyntheticScene"]
