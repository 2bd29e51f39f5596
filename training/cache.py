"""Decodes the images of a data set once: one file of planes, mapped into memory by every later run.

The files are called after what they hold: OWNER-CONTENT.planes (nothing but values) and OWNER-CONTENT.json
(sizes). CONTENT is a hash of the path, size and modification time of every source: a changed source leads
to another name, and the old files are removed. Both are written beside their place and renamed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from refusion.errors import InputError, OutputError
from refusion.files import make_folder, read_image, replacing
from refusion.frames import size_text
from refusion.ops.reference import luma
from refusion.training.planes import FixedPoint, Planes, to_fixed_point
from refusion.training.sampling import IntArray

log = logging.getLogger(__name__)

FORMAT = "luma BT.601, 16-bit fixed point, 1"
"""Part of the hash: what the values mean."""

DECODED_AT_ONCE = 64

Sources = Sequence[tuple[Path, ...]]
"""The files of each image: one a plane."""


def default_cache_folder() -> Path:
    """Return the folder of this user for caches (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "refusion" / "training"


def load_planes(
    sources: Sources, *, least_px: int, cache: Path | None, owner: str, mistakes: Sequence[str] = ()
) -> Planes:
    """Return the luma planes of images, from the cache if it holds them.

    Args:
        sources: The files of each image.
        least_px: The least height and width that an image may have.
        cache: Folder of the cache; None keeps the planes in memory.
        owner: What the images are for, for instance data folder and task; older planes of it are removed.
        mistakes: Lines on files that cannot be used, to be reported with those found here.

    Raises:
        InputError: Every mistake at once, a line a file: unreadable, different sizes, smaller than a patch.
        OutputError: The cache cannot be written.
    """
    if cache is None:
        images = list(_checked(sources, least_px, mistakes))
        return Planes.in_memory(images)
    owner_hash = _hash(owner)
    name = f"{owner_hash}-{_hash([FORMAT, *_states(sources)])}"
    planes = _read(cache / name, sources)
    if planes is None:
        try:
            make_folder(cache)
            planes = _write(cache / name, sources, least_px, mistakes)
        except OutputError as error:
            raise OutputError(
                f"{error}; name another folder with cache=DIR, or keep images in memory: cache=off"
            ) from None
        for path in cache.glob(f"{owner_hash}-*"):
            if path.stem != name:
                path.unlink(missing_ok=True)
    else:
        found = [
            _too_small(files[0], size, least_px) for files, size in zip(sources, planes.sizes, strict=True)
        ]
        _refuse([*mistakes, *filter(None, found)])
    return planes


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _states(sources: Sources) -> Iterator[tuple[str, int, int]]:
    for files in sources:
        for path in files:
            try:
                state = path.stat()
            except OSError as error:
                raise InputError(f"{path} cannot be read: {error.strerror}") from None
            yield str(path.resolve()), state.st_size, state.st_mtime_ns


def _read(name: Path, sources: Sources) -> Planes | None:
    """Return the planes of the cache, None if it has none that can be trusted."""
    values, index = name.with_suffix(".planes"), name.with_suffix(".json")
    if not index.exists():
        return None
    channels = len(sources[0])
    try:
        content = json.loads(index.read_text())
        sizes = np.array(content["sizes"], np.int64)
        if sizes.shape != (len(sources), 2) or sizes.min() < 1:
            raise ValueError(f"{sizes.shape} sizes for {len(sources)} images")
        expected = 2 * channels * int(sizes.prod(axis=1).sum())
        if values.stat().st_size != expected:
            raise ValueError(f"{values.stat().st_size} bytes of values instead of {expected}")
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        log.warning("%s is damaged (%s); the images are decoded again", index, error)
        return None
    return Planes.mapped(values, sizes, channels)


def _write(name: Path, sources: Sources, least_px: int, mistakes: Sequence[str]) -> Planes:
    values, index = name.with_suffix(".planes"), name.with_suffix(".json")
    log.info("decoding %d images into %s", len(sources), values)
    sizes: list[Sequence[int]] = []
    with ExitStack() as stack:
        # The index is renamed last (an exit stack unwinds): it never stands without its values.
        partial_index = stack.enter_context(replacing(index, force=True))
        partial = stack.enter_context(replacing(values, force=True))
        with partial.open("wb") as file:
            for image in _checked(sources, least_px, mistakes):
                image.tofile(file)
                sizes.append(image.shape[1:])
        partial_index.write_text(json.dumps({"format": FORMAT, "sizes": sizes}))
    return Planes.mapped(values, np.array(sizes, np.int64), len(sources[0]))


def _checked(sources: Sources, least_px: int, mistakes: Sequence[str]) -> Iterator[FixedPoint]:
    """Yield the images in order; raise at the end if there is a mistake anywhere."""
    found = list(mistakes)
    for image in _decoded(sources, least_px):
        if isinstance(image, str):
            found.append(image)
        elif not found:
            yield image
    _refuse(found)


def _refuse(mistakes: Iterable[str]) -> None:
    lines = list(mistakes)
    if lines:
        raise InputError("these files cannot be trained on; mend or remove them:\n  " + "\n  ".join(lines))


def _decoded(sources: Sources, least_px: int) -> Iterator[FixedPoint | str]:
    """Yield every image in order, or the line on what is wrong with it."""
    with ThreadPoolExecutor() as pool:
        # In portions: the pool would decode all of a large set before the first image is taken.
        for start in range(0, len(sources), DECODED_AT_ONCE):
            yield from pool.map(
                lambda files: _decode(files, least_px), sources[start : start + DECODED_AT_ONCE]
            )


def _decode(files: Sequence[Path], least_px: int) -> FixedPoint | str:
    try:
        frames = [read_image(path) for path in files]
    except InputError as error:
        return str(error)
    for path, frame in zip(files, frames, strict=True):
        if frame.shape[:2] != frames[0].shape[:2]:
            return f"{files[0]} is {size_text(frames[0])} but {path} is {size_text(frame)}"
    planes = np.stack([to_fixed_point(luma(frame), one=255) for frame in frames])
    return _too_small(files[0], np.array(planes.shape[1:]), least_px) or planes


def _too_small(path: Path, size: IntArray, least_px: int) -> str | None:
    if size.min() >= least_px:
        return None
    return f"{path} is {size[1]}x{size[0]}, smaller than a patch of {least_px} pixels"
