"""What methods are measured on: pairs of images and clips of video, by name or by folder."""

from __future__ import annotations

import enum
import hashlib
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from refusion.choices import chosen
from refusion.errors import InputError, UsageError
from refusion.files import match_by_stem, read_image
from refusion.frames import Frame
from refusion.stream.pairs import VideoPairs
from refusion.tasks import Task
from refusion.weights import sha256

ROOT_VARIABLE = "REFUSION_DATA"


class NamedPair(NamedTuple):
    """A pair as it is measured."""

    name: str
    a: Frame
    b: Frame


@dataclass(frozen=True)
class ImagePair:
    """Two image files."""

    name: str
    a: Path
    b: Path

    def read(self) -> NamedPair:
        """Read both.

        Raises:
            InputError: One cannot be read.
        """
        return NamedPair(self.name, read_image(self.a), read_image(self.b))


@dataclass(frozen=True)
class Clip:
    """Two video files, frame by frame."""

    name: str
    a: Path
    b: Path
    limit: int | None = None
    """Frames that are taken, at most."""

    def read(self) -> Iterator[NamedPair]:
        """Yield the frames, called CLIP/0000 and so on.

        Raises:
            InputError: A video cannot be read, or the two differ in size, rate or length.
        """
        with VideoPairs(self.a, self.b) as pairs:
            for index, pair in enumerate(itertools.islice(pairs, self.limit)):
                yield NamedPair(f"{self.name}/{index:04}", pair.a, pair.b)


@dataclass(frozen=True)
class EvaluationSet:
    """Pairs that a mean is taken over: images, or the frames of clips."""

    name: str
    """As users and folders of results name it."""
    title: str
    task: Task
    pairs: tuple[ImagePair, ...] = ()
    clips: tuple[Clip, ...] = ()

    def sha256(self) -> str:
        """Return one hash of all files, in order: two reports with the same saw the same data."""
        whole = hashlib.sha256()
        items: tuple[ImagePair | Clip, ...] = (*self.pairs, *self.clips)
        for item in items:
            for path in (item.a, item.b):
                whole.update(bytes.fromhex(sha256(path)))
        return whole.hexdigest()


@dataclass(frozen=True)
class SetFacts:
    """Where a data set lies below the root folder."""

    title: str
    task: Task
    folder: str
    a: str
    """Folder of sources a; of a set of clips, the video in each clip's folder."""
    b: str
    is_video: bool = False


class DataSet(enum.Enum):
    """The data sets that have names; the layout is in docs/quality.md."""

    tno = SetFacts("TNO", Task.ivif, "ivif/test", "ir", "vis")
    roadscene = SetFacts("RoadScene", Task.ivif, "ivif/test_roadscene", "ir", "vis")
    m3svd = SetFacts("M3SVD", Task.ivif, "video", "ir.mp4", "vis.mp4", is_video=True)
    ct_mri = SetFacts("CT-MRI", Task.mif, "mif/test/ct_mri", "ct", "mri")
    pet_mri = SetFacts("PET-MRI", Task.mif, "mif/test/pet_mri", "pet", "mri")
    spect_mri = SetFacts("SPECT-MRI", Task.mif, "mif/test/spect_mri", "spect", "mri")
    mfifb = SetFacts("MFIFB", Task.mfif, "mff/test", "near", "far")
    mefb = SetFacts("MEFB", Task.meif, "mef/test", "under", "over")

    @classmethod
    def parse(cls, name: str) -> DataSet:
        """Return the data set of that name.

        Raises:
            UsageError: There is no such data set.
        """
        return chosen(cls, name, called="data set")

    def below(self, root: Path, limit: int | None = None) -> EvaluationSet:
        """Find it below the root folder.

        Args:
            root: The root folder.
            limit: Pairs that are taken, or frames of each clip; None: all.

        Raises:
            InputError: It is not there.
        """
        facts, folder = self.value, root / self.value.folder
        if facts.is_video:
            found = sorted(path.parent for path in folder.glob(f"*/{facts.a}"))
            if not found:
                raise InputError(f"there are no clips {folder}/*/{facts.a}")
            alone = [path for path in found if not (path / facts.b).is_file()]
            if alone:
                raise InputError(f"the clip {alone[0]} has no {facts.b} beside {facts.a}")
            clips = tuple(Clip(path.name, path / facts.a, path / facts.b, limit) for path in found)
            return EvaluationSet(self.name, facts.title, facts.task, clips=clips)
        pairs = image_pairs(folder / facts.a, folder / facts.b)[:limit]
        return EvaluationSet(self.name, facts.title, facts.task, pairs)


def own_set(a: Path, b: Path, task: Task, limit: int | None = None) -> EvaluationSet:
    """Return the user's own pairs as a set called "own".

    Args:
        a: Folder of images, or a video.
        b: Likewise; images are matched by their names without suffix.
        task: What they are pairs of.
        limit: Pairs or frames that are taken; None: all.

    Raises:
        InputError: There is no such file or folder, or an image has no partner.
    """
    if a.is_file() and b.is_file():
        return EvaluationSet("own", "own", task, clips=(Clip(a.stem, a, b, limit),))
    return EvaluationSet("own", "own", task, image_pairs(a, b)[:limit])


def image_pairs(a: Path, b: Path) -> tuple[ImagePair, ...]:
    """Match the images of two folders by name; each must have its partner.

    Raises:
        InputError: There are none, or one has no partner.
    """
    matches = match_by_stem(a, b)
    alone = (*matches.only_a, *matches.only_b)
    if alone:
        raise InputError(f"{len(alone)} images of {a} and {b} have no partner, {alone[0].name} first")
    return tuple(ImagePair(*pair) for pair in matches.pairs)


def data_root(given: Path | None) -> Path:
    """Return the folder that the named data sets lie below.

    Raises:
        UsageError: None was given, and $REFUSION_DATA is not set.
        InputError: There is no such folder.
    """
    named = os.environ.get(ROOT_VARIABLE)
    root = given or (Path(named) if named else None)
    if root is None:
        raise UsageError(
            f"data sets are looked for below a root folder: name it with --data or ${ROOT_VARIABLE}, "
            "or give two folders of your own with --a and --b"
        )
    if not root.is_dir():
        raise InputError(f"there is no folder of data sets {root}")
    return root
