"""Large archives in parts, each of which fits into one call, and back.

An archive is one xz-compressed tar, cut into parts of equal size. Each part is a folder of its own, NAME-1,
NAME-2 and so on, with the bytes and with a manifest of all parts: any part tells what is still missing.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from refusion.errors import InputError

MOST_PART_BYTES = 55_000_000
"""Of the 64 MiB that travel, what the checkout and the small things leave."""

CONTENT, MANIFEST = "part", "manifest.json"
CHUNK_BYTES = 1 << 20

# With a window as large as this the two libraries of TensorRT 8.5 take 233 MB instead of 274.
LARGEST_WINDOW_BYTES = 1 << 30


@dataclass(frozen=True)
class Manifest:
    """The parts of an archive, in order, by the SHA-256 of each."""

    name: str
    sha256s: tuple[str, ...]

    def folder(self, parent: Path, number: int) -> Path:
        """Return the folder of a part; the first is 1."""
        return parent / f"{self.name}-{number}"

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read the manifest that a part's folder holds.

        Raises:
            InputError: It is missing or damaged.
        """
        try:
            content = json.loads((folder / MANIFEST).read_text())
            return cls(str(content["name"]), tuple(map(str, content["sha256s"])))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{folder / MANIFEST} cannot be read ({error}): pack again") from None

    def write(self, folder: Path) -> None:
        """Write it beside a part."""
        content = {"name": self.name, "sha256s": self.sha256s}
        (folder / MANIFEST).write_text(json.dumps(content, indent=1) + "\n")


def compress(root: Path, archive: Path) -> None:
    """Write all files below a folder as a tar, compressed with a window as large as all of them."""
    files = sorted(path for path in root.rglob("*") if path.is_symlink() or path.is_file())
    total_bytes = sum(path.lstat().st_size for path in files)
    window = max(1 << 20, min(LARGEST_WINDOW_BYTES, total_bytes))
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": window}]
    with (
        lzma.open(archive, "wb", check=lzma.CHECK_CRC64, filters=filters) as compressed,
        tarfile.open(fileobj=compressed, mode="w|") as tar,
    ):
        for path in files:
            tar.add(path, arcname=path.relative_to(root), recursive=False)


def split(archive: Path, name: str, folder: Path, most_bytes: int = MOST_PART_BYTES) -> Manifest:
    """Cut an archive into folders NAME-1, NAME-2...; those of an earlier pack are replaced."""
    for earlier in folder.glob(f"{name}-*"):
        shutil.rmtree(earlier)
    size = archive.stat().st_size
    count = max(1, -(-size // most_bytes))
    sha256s = []
    with archive.open("rb") as source:
        for number in range(1, count + 1):
            part = folder / f"{name}-{number}"
            part.mkdir(parents=True)
            # Equal parts: one more byte each than the division leaves.
            content = source.read(-(-size // count))
            (part / CONTENT).write_bytes(content)
            sha256s.append(hashlib.sha256(content).hexdigest())
    manifest = Manifest(name, tuple(sha256s))
    for number in range(1, count + 1):
        manifest.write(manifest.folder(folder, number))
    return manifest


def receive(source: Path, store: Path) -> list[Manifest]:
    """Take the parts that arrived in a folder into a store that lasts; return their archives' manifests.

    Raises:
        InputError: A part is damaged, or belongs to another pack than those that are in the store.
    """
    found: dict[str, Manifest] = {}
    for folder in sorted(path for path in source.glob("*-*") if path.is_dir()):
        manifest = found[folder.name] = Manifest.read(folder)
        number = int(folder.name.removeprefix(f"{manifest.name}-"))
        _check(folder, manifest.sha256s[number - 1])
        kept = manifest.folder(store, number)
        if not kept.is_dir():
            partial = kept.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(folder, partial)
            partial.rename(kept)
        if Manifest.read(kept) != manifest:
            raise InputError(
                f"{folder.name} is not of the pack that {store} has the other parts of: remove that folder"
            )
    return list({manifest.name: manifest for manifest in found.values()}.values())


def _check(folder: Path, expected: str) -> None:
    digest = hashlib.sha256()
    with (folder / CONTENT).open("rb") as part:
        while chunk := part.read(CHUNK_BYTES):
            digest.update(chunk)
    if digest.hexdigest() != expected:
        raise InputError(f"{folder / CONTENT} is damaged: its SHA-256 is not the manifest's; send it again")


def missing(manifest: Manifest, store: Path) -> list[int]:
    """Return the numbers of the parts that the store has not got."""
    numbers = range(1, len(manifest.sha256s) + 1)
    return [number for number in numbers if not manifest.folder(store, number).is_dir()]


def join(manifest: Manifest, store: Path, target: Path) -> None:
    """Unpack an archive from all its parts in a store into a folder.

    Raises:
        InputError: Parts are missing or damaged.
    """
    lacking = missing(manifest, store)
    if lacking:
        raise InputError(f"parts {lacking} of {manifest.name} are missing in {store}")
    folders = [manifest.folder(store, number) for number in range(1, len(manifest.sha256s) + 1)]
    for folder, expected in zip(folders, manifest.sha256s, strict=True):
        _check(folder, expected)
    target.mkdir(parents=True, exist_ok=True)
    joined = _Joined([folder / CONTENT for folder in folders])
    with (
        lzma.open(io.BufferedReader(joined, CHUNK_BYTES)) as content,
        tarfile.open(fileobj=content, mode="r|") as archive,
    ):
        archive.extractall(target, filter="data")


class _Joined(io.RawIOBase):
    """Files read one after the other, as one."""

    def __init__(self, paths: list[Path]) -> None:
        self._chunks = self._read(paths)
        self._rest = memoryview(b"")

    @staticmethod
    def _read(paths: list[Path]) -> Iterator[bytes]:
        for path in paths:
            with path.open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
