"""Multi-exposure pairs made from one well-exposed image.

The image is taken back to scene light through a camera's response, its range is widened, it is exposed for
less and for longer, and goes through sensor noise, clipping, the response again and 8 bits. The response is a
sigmoid of two parameters, f(x) = (1 + s) x^n / (x^n + s), whose distribution Eilertsen et al. (HDR image
reconstruction from a single exposure using deep CNNs, SIGGRAPH Asia 2017) fitted to the measured curves of
Grossberg & Nayar (What is the space of camera response functions?, CVPR 2003).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

UNDER_EV = (-5.0, -0.5)
OVER_EV = (0.5, 3.0)
"""Exposure in stops relative to the image, for means about those of MEFB (docs/training-data.md)."""

RANGE_EXPONENT = (1.0, 2.0)
"""Power of the scene's light about its median. A well-exposed image, fused or tone-mapped, has a fraction of
the range of a scene that needs two exposures: without this, under-exposed windows would be dark as walls."""

READ_NOISE = 5e-4
"""Largest standard deviation in the dark, of the light that saturates the sensor."""
SHOT_NOISE = 2e-4
"""Largest variance at saturation: photons are counted, so the variance grows with the light."""


class Response(NamedTuple):
    """A camera's response: what it makes of light in [0, 1]."""

    exponent: float
    """n."""
    knee: float
    """s: the smaller, the harder the contrast."""

    @classmethod
    def draw(cls, random: np.random.Generator) -> Response:
        """Draw a camera."""
        exponent, knee = random.normal(0.9, 0.1), random.normal(0.6, 0.1)
        return cls(float(np.clip(exponent, 0.6, 1.2)), float(np.clip(knee, 0.3, 0.9)))

    def encode(self, light: Plane) -> Plane:
        """Return pixel values in [0, 1] of light; what is brighter than 1 is clipped."""
        power = light.clip(0, 1) ** np.float32(self.exponent)
        return (1 + self.knee) * power / (power + self.knee)

    def decode(self, values: Plane) -> Plane:
        """Return the light of pixel values, both in [0, 1]."""
        return (self.knee * values / (1 + self.knee - values)) ** np.float32(1 / self.exponent)


def exposure_pair(image: Plane, random: np.random.Generator) -> Plane:
    """Return an under- and an over-exposed image of a scene.

    Args:
        image: (H, W) in [0, 1], well exposed.
        random: Source of the random draws.

    Returns:
        (2, H, W) in [0, 1]: under, over, of 8-bit precision.
    """
    response = Response.draw(random)
    light = widened(response.decode(image), random.uniform(*RANGE_EXPONENT))
    exposures = [random.uniform(*stops) for stops in (UNDER_EV, OVER_EV)]
    return np.stack([exposed(light, stops, response, random) for stops in exposures])


def widened(light: Plane, exponent: float) -> Plane:
    """Return light with its range widened by a power, the median kept."""
    middle = max(float(np.median(light)), 1e-3)
    return np.asarray(middle * (light / np.float32(middle)) ** np.float32(exponent), np.float32)


def exposed(light: Plane, stops: float, response: Response, random: np.random.Generator) -> Plane:
    """Return the image of light, 1 for the brightest unclipped one at 0 stops, of 8-bit precision."""
    collected = light * np.float32(2**stops)
    variance = random.uniform(0, READ_NOISE) ** 2 + random.uniform(0, SHOT_NOISE) * collected
    noisy = collected + np.sqrt(variance) * random.standard_normal(light.shape, dtype=np.float32)
    return np.asarray(np.rint(255 * response.encode(noisy)) / 255, np.float32)
