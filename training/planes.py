"""Images of training, all in one flat tensor: in memory, mapped from a file, or on a GPU.

A value is 16-bit fixed point, 65535 for 1. The luma of a colour image is no integer, and the network sees it
unrounded (METHOD of the official script): eight bits would move it by up to half a gray level. Sixteen bits
keep it to 1/500 of a level, against 1/16 with float16, whose steps are coarsest where images are bright; the
256 levels of gray images are exact (65535 = 255 * 257). That is half the size of float32.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refusion.training.sampling import Crops, IntArray

FixedPoint = NDArray[np.uint16]

ONE = 65535


def to_fixed_point(values: NDArray[np.float32], *, one: float) -> FixedPoint:
    """Return values in [0, one] as fixed point."""
    scaled = values * np.float32(ONE / one)
    return np.rint(scaled, out=scaled).astype(np.uint16)


def _to_float(fixed: Tensor) -> Tensor:
    # A tensor as the divisor: by a Python number CUDA multiplies with its reciprocal, and rounds otherwise.
    one = torch.full((), float(ONE), device=fixed.device)
    return (fixed.to(torch.int32) & 0xFFFF).to(torch.float32) / one


class Planes:
    """Images of `channels` planes each, of any sizes."""

    def __init__(
        self, flat: Tensor, sizes: IntArray, offsets: IntArray, channels: int, path: Path | None = None
    ) -> None:
        """Take the parts as they are.

        Args:
            flat: (values,) int16: the bits of the fixed-point values (PyTorch has few operations on uint16).
            sizes: (images, 2): height and width.
            offsets: (images,): where an image starts in `flat`; its planes follow one another, row by row.
            channels: Planes an image.
            path: The file that `flat` is mapped from, if it is.
        """
        self.flat, self.sizes, self.offsets, self.channels, self.path = flat, sizes, offsets, channels, path

    @classmethod
    def in_memory(cls, images: Sequence[FixedPoint]) -> Planes:
        """Keep images, (channels, H, W) each, in memory."""
        flat = np.concatenate([image.ravel() for image in images]).view(np.int16)
        sizes = np.array([image.shape[1:] for image in images], np.int64)
        return cls(torch.from_numpy(flat), sizes, offsets_of(sizes, len(images[0])), len(images[0]))

    @classmethod
    def mapped(cls, path: Path, sizes: IntArray, channels: int) -> Planes:
        """Map the images from a file that holds nothing but their values, in order."""
        return cls(_map(path), sizes, offsets_of(sizes, channels), channels, path)

    def __getstate__(self) -> dict[str, Any]:
        # Processes that load data map the file themselves: a mapping would be pickled as its contents.
        return {**self.__dict__, "flat": None} if self.path else self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.path:
            self.flat = _map(self.path)

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def bytes(self) -> int:
        """Size of all values."""
        return self.flat.numel() * self.flat.element_size()

    def select(self, images: Sequence[int]) -> Planes:
        """Return some of the images; nothing is copied."""
        chosen = np.asarray(images, np.int64)
        return Planes(self.flat, self.sizes[chosen], self.offsets[chosen], self.channels, self.path)

    def to(self, device: torch.device | str) -> Planes:
        """Return the images on a device."""
        return Planes(self.flat.to(device), self.sizes, self.offsets, self.channels)

    def image(self, index: int) -> NDArray[np.float32]:
        """Return an image, (channels, H, W) in [0, 1]."""
        height, width = self.sizes[index]
        return self.region(index, 0, 0, height, width)

    def region(self, index: int, top: int, left: int, height: int, width: int) -> NDArray[np.float32]:
        """Return a part of an image, (channels, height, width) in [0, 1]."""
        rows, columns = (int(size) for size in self.sizes[index])
        start = int(self.offsets[index])
        planes = self.flat[start : start + self.channels * rows * columns].view(-1, rows, columns)
        return _to_float(planes[:, top : top + height, left : left + width]).cpu().numpy()

    def crops(self, crops: Crops) -> Tensor:
        """Cut patches, (N, channels, patch, patch) float32 in [0, 1], on the device of the images.

        A turned and flipped patch is read by strides of its own, so that a handful of numbers a patch is all
        that goes to the device.
        """
        device, last = self.flat.device, crops.patch_px - 1
        heights, widths = self.sizes[crops.images].T
        ones = np.ones_like(widths)
        # Where output (0, 0) lies in the patch, and the steps in memory to the output's next row and column.
        corner = np.choose(crops.turns, (0 * ones, last * ones, last * (widths + 1), last * widths))
        down = np.choose(crops.turns, (widths, -ones, -widths, ones))
        across = np.choose(crops.turns, (ones, widths, -ones, -widths))
        start = self.offsets[crops.images] + crops.tops * widths + crops.lefts + corner
        start += crops.flips * last * across
        across *= 1 - 2 * crops.flips
        numbers = torch.from_numpy(np.stack((start, heights * widths, down, across)))
        start_, plane, down_, across_ = numbers.to(device, non_blocking=True)[:, :, None, None, None]
        channel = torch.arange(self.channels, device=device)[:, None, None]
        step = torch.arange(crops.patch_px, device=device)
        index = start_ + plane * channel + down_ * step[:, None] + across_ * step
        return _to_float(self.flat[index])


def offsets_of(sizes: IntArray, channels: int) -> IntArray:
    """Return where each of the images starts that follow one another without a gap."""
    ends = np.cumsum(channels * sizes.prod(axis=1))
    return np.concatenate((np.zeros(1, np.int64), ends[:-1]))


def _map(path: Path) -> Tensor:
    values = np.memmap(path, np.int16, mode="r")
    with warnings.catch_warnings():
        # A writable mapping would count against the memory of the machine, however large the file is.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(values)
