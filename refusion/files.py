"""Images on disk: reading, matching two folders, and writing without ever leaving half a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from refusion.errors import InputError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read an 8-bit image: (H, W) if it is stored gray, else (H, W, 3) BGR."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise InputError(f"{path} cannot be read as an image")
    return image if image.ndim == 2 else image[..., :3]


def images_by_stem(folder: Path) -> dict[str, Path]:
    return {p.stem: p for p in sorted(folder.iterdir()) if p.suffix.lower() in IMAGE_SUFFIXES}


def match_by_stem(folder_a: Path, folder_b: Path) -> Iterator[tuple[str, Path, Path]]:
    a, b = images_by_stem(folder_a), images_by_stem(folder_b)
    for stem in a:
        yield stem, a[stem], b[stem]
