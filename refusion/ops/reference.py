"""Pre- and post-processing in NumPy and OpenCV: the definition that the native code must equal.

Colour follows the official ReFusion script: full-range YCrCb, with luma in float and not rounded.
On 8-bit images the neutral chroma is 128 (on float images OpenCV centres it on 0.5: the same picture).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def luma(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the BT.601 luma of a gray (H, W) or BGR (H, W, 3) uint8 image, float32 in [0, 255]."""
    if image.ndim == 2:
        return image.astype(np.float32)
    return cv2.cvtColor(image.astype(np.float32), cv2.COLOR_BGR2YCrCb)[..., 0]
