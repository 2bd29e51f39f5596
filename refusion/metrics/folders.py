"""Metrics of a whole folder of fused images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from refusion.errors import InputError
from refusion.files import images_by_stem, read_image
from refusion.frames import Frame, size_text
from refusion.metrics.fidelity import MIN_SIDE_PX
from refusion.metrics.registry import evaluate

Progress = Callable[[int, int], None]
"""Called with the pairs done and the pairs in all."""

LISTED = 10
"""How many items of one kind an error names."""


@dataclass(frozen=True)
class PairRecord:
    """The metrics of one pair."""

    name: str
    """Stem of the three files."""
    values: dict[str, float]
    """Value of each metric, by its name in `METRICS`."""


def evaluate_folders(
    folder_a: Path | str, folder_b: Path | str, fused_folder: Path | str, *, progress: Progress | None = None
) -> list[PairRecord]:
    """Compute all metrics of every image of a folder of results.

    The files of one pair have the same stem in all three folders. All files are checked before the first
    is evaluated.

    Args:
        folder_a: Folder of the sources a.
        folder_b: Folder of the sources b.
        fused_folder: Folder of the results.
        progress: Called after each pair.

    Returns:
        One record a pair, by name.

    Raises:
        InputError: There is nothing to evaluate; or files are without a partner, unreadable, of another size
            than their partners, or smaller than 41x41. One error states them all.
    """
    folders = {"a": Path(folder_a), "b": Path(folder_b), "fused": Path(fused_folder)}
    images = {role: images_by_stem(folder) for role, folder in folders.items()}
    stems = sorted(set().union(*images.values()))
    if not stems:
        raise InputError(f"there are no images in {', '.join(map(str, folders.values()))}")
    missing = {role: [stem for stem in stems if stem not in paths] for role, paths in images.items()}
    problems = [f"{folders[role]} has no image for {_listed(lost)}" for role, lost in missing.items() if lost]
    triples = {
        stem: (images["fused"][stem], images["a"][stem], images["b"][stem])
        for stem in stems
        if all(stem in paths for paths in images.values())
    }
    problems += _unusable(triples)
    if problems:
        raise InputError(f"the folders cannot be evaluated: {'; '.join(problems)}")

    records = []
    for done, (stem, paths) in enumerate(triples.items(), start=1):
        records.append(PairRecord(stem, evaluate(*map(read_image, paths))))
        if progress is not None:
            progress(done, len(triples))
    return records


def mean(records: Sequence[PairRecord]) -> dict[str, float]:
    """Return the mean of each metric over the pairs.

    Raises:
        InputError: There are no records.
    """
    if not records:
        raise InputError("there is no mean of no records: evaluate at least one pair")
    return {name: float(np.mean([r.values[name] for r in records])) for name in records[0].values}


def _unusable(triples: dict[str, tuple[Path, Path, Path]]) -> list[str]:
    """Say what is wrong with the files of each triple (fused, a, b), grouped by kind."""
    unreadable, different, small = [], [], []
    for stem, paths in triples.items():
        frames: list[Frame] = []
        for path in paths:
            try:
                frames.append(read_image(path))
            except InputError as error:
                unreadable.append(str(error))
        if len(frames) < len(paths):
            continue
        fused, a, b = (size_text(frame) for frame in frames)
        if not fused == a == b:
            different.append(f"{stem} (a {a}, b {b}, fused {fused})")
        elif min(frames[0].shape[:2]) < MIN_SIDE_PX:
            small.append(f"{stem} ({fused})")
    problems = []
    if unreadable:
        problems.append(_listed(unreadable, separator="; "))
    if different:
        problems.append(f"different sizes: {_listed(different)}")
    if small:
        problems.append(f"smaller than {MIN_SIDE_PX}x{MIN_SIDE_PX}: {_listed(small)}")
    return problems


def _listed(items: list[str], *, separator: str = ", ") -> str:
    rest = len(items) - LISTED
    return separator.join(items[:LISTED]) + (f" and {rest} more" if rest > 0 else "")
