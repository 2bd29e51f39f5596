"""What is killed: commands with real work, and what must be true after each kill and at the end."""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
from abc import ABC, abstractmethod
from pathlib import Path

from refusion.errors import RefusionError
from refusion.files import write_image
from refusion.stream.synthetic import SyntheticScene
from refusion.stream.video import VideoReader

REFUSION = (sys.executable, "-m", "refusion")
_SCENE = "synthetic:?width=96&height=64&frames=40"
_PAIRS = 24


class Scenario(ABC):
    """One command in a folder of its own; `work` is that folder, `whole` that of a run that nobody killed."""

    name: str

    @abstractmethod
    def command(self, work: Path) -> list[str]:
        """Return the command that begins, or goes on where a kill left off."""

    @abstractmethod
    def lost(self, work: Path, before: set[str], whole: Path, output: str) -> list[str]:
        """Say what is wrong after a kill.

        Args:
            work: The folder.
            before: What `done` gave before the command was started.
            whole: The folder of the whole run.
            output: What the killed command wrote to standard output.
        """

    @abstractmethod
    def done(self, work: Path) -> set[str]:
        """Return what is finished."""

    def prepare(self, work: Path) -> None:
        """Make what the command reads."""
        work.mkdir(parents=True)

    def different(self, work: Path, whole: Path) -> list[str]:
        """Say what a run that was killed, and finished later, has otherwise than the whole one."""
        ours, expected = self.done(work), self.done(whole)
        return [f"{one} differs or is missing" for one in sorted(expected - ours)] + [
            f"{one} should not be there" for one in sorted(ours - expected)
        ]


class Files(Scenario):
    """Commands that write files, each of them whole or not at all, and equal to those of the whole run."""

    pattern = "out/*.png"

    def done(self, work: Path) -> set[str]:
        """Return path and hash of each file; what is being written has a hidden name or folder."""
        found = [path.relative_to(work) for path in work.glob(self.pattern)]
        seen = [path for path in found if not any(part.startswith(".") for part in path.parts)]
        return {f"{path} {hashlib.sha256((work / path).read_bytes()).hexdigest()}" for path in seen}

    def lost(self, work: Path, before: set[str], whole: Path, output: str) -> list[str]:
        """Say which files are gone or not whole."""
        now = self.done(work)
        return [f"{one} was there before the kill" for one in sorted(before - now)] + [
            f"{one} is not a file of the whole run" for one in sorted(now - self.done(whole))
        ]


class FuseFolder(Files):
    """`refusion fuse` of two folders, begun again with --force."""

    name = "fuse"

    def prepare(self, work: Path) -> None:
        """Write pairs of images."""
        scene = SyntheticScene(width_px=96, height_px=64)
        for folder in ("a", "b"):
            (work / folder).mkdir(parents=True)
        for index, pair in enumerate(scene.frames(_PAIRS)):
            write_image(work / "a" / f"{index:03d}.png", pair.a)
            write_image(work / "b" / f"{index:03d}.png", pair.b)

    def command(self, work: Path) -> list[str]:
        """Return `refusion fuse A B -o OUT --force`."""
        return [*REFUSION, "fuse", str(work / "a"), str(work / "b"), "-o", str(work / "out"), "--force"]


class Batch(FuseFolder):
    """`refusion batch` of two folders on two workers: begun again, it does what is missing."""

    name = "batch"

    def command(self, work: Path) -> list[str]:
        """Return `refusion batch --a A --b B -o OUT`."""
        folders = ("--a", str(work / "a"), "--b", str(work / "b"), "-o", str(work / "out"))
        return [*REFUSION, "batch", *folders, "--workers", "2"]


class StreamFolder(Files):
    """`refusion stream` to a folder of pictures."""

    name = "stream-folder"

    def command(self, work: Path) -> list[str]:
        """Return `refusion stream ... --out FOLDER --force`."""
        scene = ("--ir", _SCENE, "--visible", _SCENE)
        return [*REFUSION, "stream", *scene, "--out", str(work / "out"), "--force"]


class StreamVideo(Scenario):
    """`refusion stream` to a video: the one that is there is kept until the next is whole."""

    name = "stream-video"

    def command(self, work: Path) -> list[str]:
        """Return `refusion stream ... --out VIDEO --force`."""
        scene = ("--ir", _SCENE, "--visible", _SCENE)
        return [*REFUSION, "stream", *scene, "--out", str(work / "out.mp4"), "--force"]

    def done(self, work: Path) -> set[str]:
        """Return name and number of frames; the bytes hold times of writing."""
        return {f"{path.name} of {_frames(path)} frames" for path in work.glob("out.mp4")}

    def lost(self, work: Path, before: set[str], whole: Path, output: str) -> list[str]:
        """Say whether the video is gone or not whole."""
        now = self.done(work)
        gone = before - now
        return [f"{one} is gone" for one in gone] + [f"{one} is not whole" for one in now - self.done(whole)]


class ExportOnnx(Files):
    """`refusion export` to ONNX, and to a repository for Triton around it."""

    name = "export"
    pattern = "out/**/*.onnx"

    def command(self, work: Path) -> list[str]:
        """Return `refusion export --format triton`."""
        options = ("--format", "triton", "--model", "lite", "--fp32", "--shape", "64x96", "--force")
        return [*REFUSION, "export", *options, "-o", str(work / "out")]


class Train(FuseFolder):
    """`refusion train`, begun again with --resume: it ends with the weights of the whole run, bit for bit."""

    name = "train"
    _SETTINGS = (
        *("epochs=4", "meta_steps=2", "fusion_steps=6", "batch=1", "patch_px=48", "checkpoint_minutes=1e-9"),
        *("validation_pairs=0", "image_panels_every=0", "zoom_out=0", "cache=off", "threads=1", "device=cpu"),
    )

    def prepare(self, work: Path) -> None:
        """Write pairs in the layout of training data."""
        super().prepare(work / "data")
        (work / "data" / "a").rename(work / "data" / "ir")
        (work / "data" / "b").rename(work / "data" / "vis")

    def command(self, work: Path) -> list[str]:
        """Return `refusion train`, with --resume if there is something to go on with."""
        run = str(work / "run")
        if (work / "run" / "state.pt").exists():
            return [*REFUSION, "train", "-o", run, "--resume"]
        return [*REFUSION, "train", "--data", str(work / "data"), "-o", run, *self._SETTINGS]

    def done(self, work: Path) -> set[str]:
        """Return the epochs of the checkpoint; after the last, the hash of all its weights, too."""
        import torch

        path = work / "run" / "state.pt"
        if not path.exists():
            return set()
        state = torch.load(path, map_location="cpu", weights_only=True)
        found = {f"epoch {index + 1}" for index in range(state["epoch"])}
        if state["epoch"] == state["configuration"]["epochs"]:
            digest = hashlib.sha256()
            for name, value in sorted(state["modules"].items()):
                digest.update(name.encode() + value.numpy().tobytes())
            found.add(f"weights {digest.hexdigest()}")
        return found

    def lost(self, work: Path, before: set[str], whole: Path, output: str) -> list[str]:
        """Say which epochs are gone: of those that were there, and of those that were printed."""
        now = self.done(work)
        reported = {f"epoch {number}" for number in re.findall(r"^epoch (\d+)/", output, re.MULTILINE)}
        return [f"{one} is gone" for one in sorted((before | reported) - now)]


SCENARIOS: tuple[Scenario, ...] = (
    FuseFolder(),
    Batch(),
    StreamFolder(),
    StreamVideo(),
    ExportOnnx(),
    Train(),
)


def clean(work: Path) -> None:
    """Remove a folder that may not be there."""
    shutil.rmtree(work, ignore_errors=True)


def _frames(path: Path) -> int | str:
    try:
        with VideoReader(path) as video:
            return sum(1 for _ in video)
    except RefusionError as error:
        return f"unreadable ({error})"
