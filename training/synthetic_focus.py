"""Multi-focus pairs made from one image that is sharp everywhere.

A random foreground stands before the rest of the scene. In the near image the lens is focused on it, in the
far image on what is behind; what is out of focus is spread over a disc, in linear light. Two layers with
occlusion (Hasinoff & Kutulakos, A Layer-Based Restoration Framework for Variable-Aperture Photography, ICCV
2007): a sharp foreground cuts off the blurred background, while a blurred foreground bleeds over the sharp
background, whose hidden part becomes visible through its rim.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

GAMMA = 2.2

RADIUS_PX = (1.0, 6.0)
"""Radius of the disc of confusion; each side of the focus has its own. Both sources then differ in sharpness
about as those of MFIFB do (docs/training-data.md)."""

EDGE_SIGMA_PX = 0.7
"""Softness of the foreground's outline: what the pixel grid alone makes of a sharp one."""

SMALLEST_SIGMA_PX = 3.0
"""Parts of a foreground that this blur takes below one half vanish: text and texture have no depth."""

NOISE_SCALE = 8
"""Pixels of the image to one of the noise that the outline comes from."""

NOISE = 0.004
"""Largest standard deviation of the sensor's noise, of a range of 1."""

EPSILON = np.float32(1e-4)


def focus_pair(sharp: Plane, random: np.random.Generator) -> Plane:
    """Return the near-focus and the far-focus image of a scene.

    Args:
        sharp: (H, W) in [0, 1], gamma-encoded, sharp everywhere.
        random: Source of the random draws.

    Returns:
        (2, H, W) in [0, 1]: near, far, of 8-bit precision.
    """
    foreground = random_foreground(sharp, random)
    near_px, far_px = random.uniform(*RADIUS_PX, size=2)
    pair = defocused_pair(sharp, foreground, far_radius_px=far_px, near_radius_px=near_px)
    pair += random.normal(0, random.uniform(0, NOISE), pair.shape).astype(np.float32)
    return np.rint(255 * pair.clip(0, 1)) / np.float32(255)


def random_foreground(image: Plane, random: np.random.Generator) -> Plane:
    """Return how much of each pixel the foreground covers, (H, W) in [0, 1].

    Its outline is that of thresholded low-frequency noise, drawn in part to the outlines in the image: real
    steps in depth mostly are steps in brightness too. It covers about a tenth to nine tenths of the image.
    """
    height, width = image.shape
    wavelength_px = random.uniform(0.1, 0.35) * min(height, width)
    # Made small and enlarged: a blur of so many pixels would be most of the work.
    small = random.standard_normal((height // NOISE_SCALE + 1, width // NOISE_SCALE + 1), np.float32)
    small = _smoothed(small, wavelength_px / NOISE_SCALE)
    noise = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
    objects = _smoothed(image, SMALLEST_SIGMA_PX)
    field = _standardised(noise) + np.float32(random.uniform(-0.8, 0.8)) * _standardised(objects)
    inside = field > np.quantile(field, random.uniform(0.1, 0.9))
    smoothed = _smoothed(inside.astype(np.float32), SMALLEST_SIGMA_PX)
    outlined = (smoothed > 0.5).astype(np.float32)
    return _smoothed(outlined, EDGE_SIGMA_PX)


def _standardised(field: Plane) -> Plane:
    return (field - field.mean()) / (field.std() + EPSILON)


def defocused_pair(sharp: Plane, foreground: Plane, *, far_radius_px: float, near_radius_px: float) -> Plane:
    """Return the scene focused on its foreground and focused on its background, (2, H, W) in [0, 1].

    Args:
        sharp: (H, W) in [0, 1], gamma-encoded.
        foreground: (H, W) in [0, 1]: how much of a pixel the foreground covers.
        far_radius_px: Radius of the disc that a point behind the focus becomes, in the near image.
        near_radius_px: The same for a point before the focus, in the far image.
    """
    light = sharp**GAMMA
    background = 1 - foreground
    behind, before = disc(far_radius_px), disc(near_radius_px)

    # Of the blurred background only what is background counts: nothing of the foreground bleeds into it.
    blurred_background = _blur(light * background, behind) / (_blur(background, behind) + EPSILON)
    near = foreground * light + background * blurred_background

    # Behind the foreground's rim the background goes on as it does beside it.
    sigma_px = near_radius_px
    hidden = _smoothed(light * background, sigma_px)
    hidden /= _smoothed(background, sigma_px) + EPSILON
    whole_background = background * light + foreground * hidden
    far = _blur(foreground * light, before) + (1 - _blur(foreground, before)) * whole_background
    return np.stack((near, far)).clip(0, 1) ** np.float32(1 / GAMMA)


def disc(radius_px: float) -> Plane:
    """Return the blur kernel of a circular aperture, of sum 1; pixels on the rim count in part."""
    reach = int(np.ceil(radius_px))
    distance = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1])
    kernel = (radius_px + 0.5 - distance).clip(0, 1)
    return (kernel / kernel.sum()).astype(np.float32)


def _blur(plane: Plane, kernel: Plane) -> Plane:
    return np.asarray(cv2.filter2D(plane, -1, kernel, borderType=cv2.BORDER_REFLECT_101), np.float32)


def _smoothed(plane: Plane, sigma_px: float) -> Plane:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma_px), np.float32)
