"""Finds the pairs of a task in a data folder, laid out as public data sets are when they are downloaded.

Layouts, by what tells the two sources apart:
- two folders: MSRS, RoadScene, M3FD, LLVIP, Harvard medical images, RealMFF; several pairs of folders on one
  level count together;
- a tag in the file name: Lytro (`lytro-01-A.jpg`), MFIFB, TNO collections (`IR1.png`, `VIS1.png`);
- brightness: a folder a scene, for multi-exposure (MEFB, SICE): its darkest and its brightest exposure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2

from refusion.errors import InputError
from refusion.files import IMAGE_SUFFIXES
from refusion.tasks import Task


class PairFiles(NamedTuple):
    """The two files of a pair."""

    name: str
    """Unique in its data folder; with its folder where the set has several: `ct_mri/20006`."""
    a: Path
    b: Path


class FoundPairs(NamedTuple):
    """The pairs of a data folder, and a line for every file that belongs to none."""

    pairs: tuple[PairFiles, ...]
    mistakes: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """What the two sources of a task are called, in lower case."""

    folders: tuple[tuple[str, ...], tuple[str, ...]]
    tags: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    """Parts of file names, for both sources in one folder, or for folders whose file names differ by them."""
    scenes: bool = False
    """Whether a folder of exposures is a scene."""


GENERIC = Layout((("a",), ("b",)))

LAYOUTS: Mapping[Task, Layout] = {
    Task.ivif: Layout(
        (("ir", "infrared", "thermal", "cropinfrared"), ("vi", "vis", "visible", "rgb", "crop_lr_visible")),
        (("ir",), ("vis", "vi")),
    ),
    Task.mif: Layout((("ct", "pet", "spect"), ("mri",))),
    Task.mfif: Layout((("near", "imagea"), ("far", "imageb")), (("near", "a"), ("far", "b"))),
    Task.meif: Layout((("under", "underexposed"), ("over", "overexposed")), scenes=True),
}

NOT_FOR_TRAINING = frozenset({"test", "val", "valid", "validation", "label", "labels", "gt", "fusion"})
"""Folders passed over on the way down: held-out pairs, and the reference results of SICE and RealMFF."""

DEEPEST = 3
"""Levels below the data folder that are searched: SICE as downloaded has its scenes two levels down."""

MOST_EXPOSURES = 30
"""A folder with more images than this is no scene (SICE has up to 18 a scene)."""


def find_pairs(data: Path, task: Task) -> FoundPairs:
    """Find the pairs of a task; the shallowest level of folders that holds any counts, as a whole.

    Where a folder holds one called `train`, nothing beside it counts.

    Raises:
        InputError: There is no such folder, none of the layouts in it, or one that is ambiguous.
    """
    if not data.is_dir():
        raise InputError(f"there is no folder {data}")
    layout = LAYOUTS[task]
    level = [data]
    for depth in range(DEEPEST + 1):
        groups = [
            (folder, found)
            for folder in level
            if (found := _pairs_of(folder, layout, may_be_scene=layout.scenes and depth > 0))
        ]
        if groups:
            return _joined(data, groups)
        level = [inner for folder in level for inner in _folders_for_training(folder)]
    names = " or ".join(f"{a}/ and {b}/" for a, b in (_first_names(layout), _first_names(GENERIC)))
    scenes = ", nor a folder of exposures for each scene" if layout.scenes else ""
    raise InputError(
        f"{data} holds no pairs for {task.name}: no folders {names}{scenes} were found in it "
        "(docs/training-data.md shows the layouts; a test folder is used only where it is named itself)"
    )


def _first_names(layout: Layout) -> tuple[str, str]:
    return layout.folders[0][0], layout.folders[1][0]


def _joined(data: Path, groups: list[tuple[Path, FoundPairs]]) -> FoundPairs:
    """Join the pairs of several folders; their names say where each is from, if there are several."""
    pairs: list[PairFiles] = []
    for folder, found in groups:
        prefix = folder.relative_to(data) if len(groups) > 1 else Path()
        pairs += [pair._replace(name=(prefix / pair.name).as_posix()) for pair in found.pairs]
    return FoundPairs(tuple(pairs), tuple(line for _, found in groups for line in found.mistakes))


def _folders_for_training(folder: Path) -> list[Path]:
    folders = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    train = [path for path in folders if path.name.lower() == "train"]
    return train or [path for path in folders if path.name.lower() not in NOT_FOR_TRAINING]


def _pairs_of(folder: Path, layout: Layout, *, may_be_scene: bool) -> FoundPairs | None:
    """Return the pairs that lie in this very folder, or None if it has no layout."""
    folders = _source_folders(folder, layout) or _source_folders(folder, GENERIC)
    if folders:
        return _matched(*folders, layout)
    images = _images(folder)
    tagged = _tagged(images, layout)
    if tagged:
        return tagged
    is_leaf = not any(path.is_dir() for path in folder.iterdir())
    if may_be_scene and is_leaf and 0 < len(images) <= MOST_EXPOSURES:
        return _scene(folder, images)
    return None


def _source_folders(folder: Path, layout: Layout) -> tuple[Path, Path] | None:
    found: list[Path] = []
    inner = [path for path in sorted(folder.iterdir()) if path.is_dir()]
    for names in layout.folders:
        matching = [path for path in inner if path.name.lower() in names]
        if len(matching) > 1:
            listed = ", ".join(path.name for path in matching)
            raise InputError(
                f"{folder} holds more than one folder for one source: {listed}; keep one of them"
            )
        found += matching
    if len(found) < 2:
        return None
    # LLVIP splits inside of the source folders: infrared/train, infrared/test.
    a, b = (
        next((p for p in path.iterdir() if p.is_dir() and p.name.lower() == "train"), path) for path in found
    )
    return a, b


def _images(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]


def _matched(folder_a: Path, folder_b: Path, layout: Layout) -> FoundPairs:
    """Match two folders by file stem; where no stem is in both, by stem without the source's tag."""
    images_a, images_b = _images(folder_a), _images(folder_b)
    for folder, images in ((folder_a, images_a), (folder_b, images_b)):
        if not images:
            raise InputError(f"there are no images in {folder} (known: {', '.join(sorted(IMAGE_SUFFIXES))})")
    if not {path.stem for path in images_a} & {path.stem for path in images_b}:
        keyed_a, keyed_b = (
            [(_key(path.stem, tags) or path.stem, path) for path in images]
            for images, tags in zip((images_a, images_b), layout.tags, strict=True)
        )
        return _paired(keyed_a, keyed_b)
    return _paired([(p.stem, p) for p in images_a], [(p.stem, p) for p in images_b])


def _tagged(images: Iterable[Path], layout: Layout) -> FoundPairs | None:
    """Pair the images of one folder by their tags; None if no two of them are a pair."""
    sides: tuple[list[tuple[str, Path]], list[tuple[str, Path]]] = ([], [])
    untagged = []
    for path in images:
        keys = [_key(path.stem, tags) for tags in layout.tags]
        for side, key in zip(sides, keys, strict=True):
            if key:
                side.append((key, path))
        if not any(keys):
            untagged.append(f"{path} has the name of neither source")
    if not {key for key, _ in sides[0]} & {key for key, _ in sides[1]}:
        return None
    found = _paired(*sides)
    return found._replace(mistakes=(*found.mistakes, *untagged))


def _key(stem: str, tags: tuple[str, ...]) -> str | None:
    """Return the stem without its tag (`lytro-01-A`, `IR1`, `ir_day`), or None if it has none of them."""
    if not tags:
        return None
    tag = "|".join(tags)
    match = re.fullmatch(
        rf"(?P<end>.+)[-_ ](?:{tag})|(?:{tag})(?:[-_ ](?P<start>.+)|(?P<number>\d.*))", stem, re.IGNORECASE
    )
    return next(filter(None, match.groups())) if match else None


def _paired(a: list[tuple[str, Path]], b: list[tuple[str, Path]]) -> FoundPairs:
    """Pair files by key; report those without a partner, and keys that several files of a source have."""
    mistakes: list[str] = []
    sides: list[dict[str, Path]] = []
    for keyed in (a, b):
        side: dict[str, Path] = {}
        for key, path in keyed:
            if key in side:
                mistakes.append(
                    f"{path} has the same name as {side[key].name}: which of them belongs to a pair?"
                )
            else:
                side[key] = path
        sides.append(side)
    for side, other in (sides, reversed(sides)):
        mistakes += [
            f"{path} has no partner of the same name" for key, path in side.items() if key not in other
        ]
    pairs = tuple(PairFiles(key, path, sides[1][key]) for key, path in sides[0].items() if key in sides[1])
    return FoundPairs(pairs, tuple(mistakes))


def _scene(folder: Path, images: list[Path]) -> FoundPairs:
    """Pair the darkest exposure of a scene with the brightest one."""
    if len(images) < 2:
        return FoundPairs((), (f"{folder} holds one exposure of its scene; two or more are needed",))
    if all(path.stem.isdecimal() for path in images):
        # SICE numbers exposures in order: the ends are enough, and two images are read instead of up to 18.
        images = sorted(images, key=lambda path: int(path.stem))
        images = [images[0], images[-1]]
    brightness: list[tuple[float, Path]] = []
    mistakes = []
    for path in images:
        # An eighth of the size is plenty for a mean, and JPEG is decoded at that size.
        reduced = cv2.imread(str(path), cv2.IMREAD_REDUCED_GRAYSCALE_8)
        if reduced is None:
            mistakes.append(f"{path} is not an image, or is damaged")
        else:
            brightness.append((float(reduced.mean()), path))
    if mistakes:
        return FoundPairs((), tuple(mistakes))
    return FoundPairs((PairFiles(folder.name, min(brightness)[1], max(brightness)[1]),), ())
