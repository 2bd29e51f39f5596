"""Folders of images as recordings."""

from __future__ import annotations

import itertools
import re
import threading
from pathlib import Path

from refusion.errors import InputError
from refusion.files import IMAGE_SUFFIXES, read_raw_image
from refusion.frames import size_text
from refusion.stream.sources.interface import TimedImage

DEFAULT_RATE_HZ = 25.0

# Digits of a time since 1970 in ms, us and ns; the same for any day between 2001 and 2286.
_NS_PER_UNIT = {13: 1_000_000, 16: 1_000, 19: 1}


class ImageFolder:
    """The images of one folder in the natural order of their names (frame2 before frame10).

    8-bit images and 16-bit gray ones (PNG, TIFF: raw thermal). Where every name is a time since 1970 in
    milliseconds, microseconds or nanoseconds (13, 16 or 19 digits), frames have these times; else they
    follow each other at `rate_hz`.
    """

    is_live = False

    def __init__(self, folder: Path, *, rate_hz: float | None = None) -> None:
        self.uri = str(folder)
        self._folder, self._rate_hz = folder, rate_hz

    def open(self, stop: threading.Event) -> ImageFolderReader:
        """List the images.

        Raises:
            InputError: There are none.
        """
        del stop  # Reading one image does not wait for anything.
        try:
            paths = [
                path
                for path in self._folder.iterdir()
                if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
            ]
        except OSError as error:
            raise InputError(f"{self._folder} cannot be read: {error.strerror}") from None
        if not paths:
            known = ", ".join(sorted(IMAGE_SUFFIXES))
            raise InputError(f"there are no images in {self._folder} (known: {known})")
        return ImageFolderReader(sorted(paths, key=_natural), self._rate_hz)


class ImageFolderReader:
    """Reads the images of a folder, one by one."""

    damaged = 0

    def __init__(self, paths: list[Path], rate_hz: float | None) -> None:
        self._paths = paths
        self._next = 0
        self._shape: tuple[int, ...] | None = None
        stamps = _time_stamps(paths)
        self.start_ns = stamps[0] if stamps else None
        if stamps and stamps[-1] > stamps[0]:
            self.rate_hz = (len(stamps) - 1) * 1e9 / (stamps[-1] - stamps[0])
        else:
            self.rate_hz = rate_hz or DEFAULT_RATE_HZ
        self._times_ns = (
            [stamp - stamps[0] for stamp in stamps]
            if stamps
            else [round(index * 1e9 / self.rate_hz) for index in range(len(paths))]
        )

    def read(self) -> TimedImage | None:
        """Return the next image, None after the last.

        Raises:
            InputError: It cannot be read, or has another size or kind than those before.
        """
        if self._next == len(self._paths):
            return None
        path, time_ns = self._paths[self._next], self._times_ns[self._next]
        self._next += 1
        image = read_raw_image(path)
        if self._shape is not None and image.shape[:2] != self._shape[:2]:
            raise InputError(
                f"{path} is {size_text(image)}, the images before it are {self._shape[1]}x{self._shape[0]}; "
                "all images of a folder must have one size"
            )
        self._shape = image.shape
        return TimedImage(image, time_ns)

    def close(self) -> None:
        """Nothing is held open."""


def _natural(path: Path) -> list[tuple[int, str]]:
    """Return what sorts names as people do: numbers in them by value."""
    return [
        (int(part), "") if part.isdigit() else (-1, part.lower())
        for part in re.split(r"(\d+)", path.name)
        if part
    ]


def _time_stamps(paths: list[Path]) -> list[int] | None:
    """Return the times in names, nanoseconds since 1970; None unless every name is one and they ascend."""
    lengths = {len(path.stem) for path in paths if path.stem.isdecimal()}
    if len(lengths) != 1 or not all(path.stem.isdecimal() for path in paths):
        return None
    unit_ns = _NS_PER_UNIT.get(lengths.pop())
    if unit_ns is None:
        return None
    stamps = [int(path.stem) * unit_ns for path in paths]
    return stamps if all(a < b for a, b in itertools.pairwise(stamps)) else None
