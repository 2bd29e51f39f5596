"""Measurements of refusion: what they compare, on what machine, with every figure they print."""
