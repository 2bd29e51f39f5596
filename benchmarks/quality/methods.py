"""What is measured: networks with weights of ours or of others, classical methods, folders of results."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from refusion import ops
from refusion.benchmarks.quality.classical import Baseline
from refusion.benchmarks.quality.sets import EvaluationSet, NamedPair
from refusion.errors import InputError
from refusion.files import images_by_stem, read_image
from refusion.frames import Frame, size_text
from refusion.fused_stream import chroma_of
from refusion.fuser import Fuser
from refusion.metrics.planes import gray
from refusion.models import Model
from refusion.ranges import RangePolicy
from refusion.tasks import Task
from refusion.weights import sha256

Fuse = Callable[[NamedPair], Frame]


class Kind(enum.Enum):
    """Where a method's results come from; tables have them in this order."""

    model = "model"
    official = "official"
    third_party = "third-party"
    classical = "classical"


@dataclass(frozen=True)
class Opened:
    """A method that is ready for one set."""

    fuse: Fuse
    """Of stills; may be called from several threads."""
    clip: Callable[[], Fuse]
    """Begins a clip, whose frames then come in order."""
    weights_sha256: str | None = None
    description: str | None = None
    """What runs where."""


class Method(Protocol):
    """Something that gives a picture for a pair."""

    @property
    def name(self) -> str:
        """What it is called in tables."""

    @property
    def kind(self) -> Kind:
        """Where its results come from."""

    def refusal(self, data: EvaluationSet) -> str | None:
        """Return why it has nothing to do with a set; None where it has."""

    def opened(self, data: EvaluationSet) -> AbstractContextManager[Opened]:
        """Make it ready for a set.

        Raises:
            RefusionError: It cannot be used.
        """


@dataclass(frozen=True)
class Network:
    """A network, on stills with each picture's own range, on clips with the range of `clip_range`."""

    name: str
    kind: Kind
    model: Model | None = None
    """None: what the weights hold."""
    weights: Mapping[Task, Path] | None = None
    """Files instead of the shipped ones."""
    backend: str = "auto"
    threads: int = 0
    clip_range: RangePolicy = RangePolicy.tracked

    def refusal(self, data: EvaluationSet) -> str | None:
        """Return why it has nothing to do with a set."""
        if self.weights is None or data.task in self.weights:
            return None
        return f"there are no such weights for {data.task.name}"

    @contextmanager
    def opened(self, data: EvaluationSet) -> Iterator[Opened]:
        """Load the weights."""
        weights = None if self.weights is None else self.weights[data.task]
        with Fuser(
            data.task, model=self.model, weights=weights, backend=self.backend, threads=self.threads
        ) as fuser:

            def clip() -> Fuse:
                stream = fuser.stream(output_range=self.clip_range)
                return lambda pair: stream(pair.a, pair.b)

            yield Opened(lambda pair: fuser(pair.a, pair.b), clip, sha256(fuser.weights), fuser.description)


@dataclass(frozen=True)
class Classical:
    """A classical method on the lumas; colour is added as it is to the networks' results."""

    baseline: Baseline
    kind: Kind = Kind.classical

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return self.baseline.value.title

    def refusal(self, data: EvaluationSet) -> str | None:
        """There is no reason."""
        return None

    @contextmanager
    def opened(self, data: EvaluationSet) -> Iterator[Opened]:
        """There is nothing to load."""
        yield Opened(self._fuse, lambda: self._fuse)

    def _fuse(self, pair: NamedPair) -> Frame:
        a, b = (gray(frame).astype(np.float32) for frame in (pair.a, pair.b))
        # Rounded here, where halves are exact: the mean of two gray levels often is one.
        levels = np.clip(np.rint(self.baseline.value.fuse(a, b)), 0, 255)
        luma = np.asarray(levels / 255, np.float32)
        return ops.postprocess(luma, pair.a, pair.b, chroma=chroma_of(pair.a, pair.b))


@dataclass(frozen=True)
class VisibleOnly:
    """The visible picture as it is: what fusion has to be better than."""

    name: str = "visible only"
    kind: Kind = Kind.classical

    def refusal(self, data: EvaluationSet) -> str | None:
        """Return why it has nothing to do with a set."""
        return None if data.task is Task.ivif else f"it is for {Task.ivif.value.title}"

    @contextmanager
    def opened(self, data: EvaluationSet) -> Iterator[Opened]:
        """There is nothing to load."""

        def fuse(pair: NamedPair) -> Frame:
            return pair.b

        yield Opened(fuse, lambda: fuse)


@dataclass(frozen=True)
class Results:
    """Pictures that somebody else's method made: FOLDER/SET/PAIR.png, or FOLDER/PAIR.png of a single set.

    Those of a clip are FOLDER/SET/CLIP/FRAME.png, frames counted from 0000.
    """

    name: str
    folder: Path
    only_set: bool
    """Whether pictures may lie in the folder itself, because they can be of one set alone."""
    kind: Kind = Kind.third_party

    def refusal(self, data: EvaluationSet) -> str | None:
        """Return why it has nothing to do with a set."""
        return None if self._folder(data) else f"there is no folder {data.name} in {self.folder.name}"

    @contextmanager
    def opened(self, data: EvaluationSet) -> Iterator[Opened]:
        """List the pictures.

        Raises:
            InputError: One is missing.
        """
        pictures = self._pictures(data)

        def fuse(pair: NamedPair) -> Frame:
            if pair.name not in pictures:
                raise InputError(f"{self.folder} has no picture for {pair.name} of {data.title}")
            picture = read_image(pictures[pair.name])
            if picture.shape[:2] != pair.a.shape[:2]:
                raise InputError(
                    f"{pictures[pair.name]} is {size_text(picture)}, its sources are {size_text(pair.a)}: "
                    "results are measured at the size of their sources"
                )
            return picture

        yield Opened(fuse, lambda: fuse)

    def _folder(self, data: EvaluationSet) -> Path | None:
        named = self.folder / data.name
        if named.is_dir():
            return named
        return self.folder if self.only_set else None

    def _pictures(self, data: EvaluationSet) -> dict[str, Path]:
        folder = self._folder(data)
        if folder is None:
            raise InputError(f"there is no folder {self.folder / data.name}")
        if data.clips:
            return {
                f"{clip.name}/{stem}": path
                for clip in data.clips
                for stem, path in images_by_stem(folder / clip.name).items()
            }
        found = images_by_stem(folder)
        missing = [pair.name for pair in data.pairs if pair.name not in found]
        if missing:
            raise InputError(
                f"{folder} has no picture for {len(missing)} of {len(data.pairs)} pairs of {data.title}, "
                f"{missing[0]} first"
            )
        return found
