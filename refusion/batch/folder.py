"""Folders at local paths and at URLs; files are read whole, and written whole or not at all."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from refusion.errors import InputError, OutputError, UsageError
from refusion.partial_files import partial_file

WHOLE_OBJECT_PROTOCOLS = frozenset(
    {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "r2", "memory"}
)
"""Stores in which an object appears when all of it was uploaded; elsewhere a partial file is renamed."""


class Folder:
    """A folder by its local path or URL; files in it are named by their path below it, with slashes."""

    def __init__(self, url: str) -> None:
        """Find out what kind of place it is; nothing is read.

        Args:
            url: A local path, or a URL that fsspec knows: s3://bucket/folder, zip://folder::archive.zip, ...

        Raises:
            UsageError: It is empty, there is no such kind of URL, or what reads it is not installed.
        """
        if not url:
            # As a path it would be the current folder: that of a script whose variable is not set.
            raise UsageError("the path or URL of a folder is empty")
        self.url = url
        self._filesystem, self._path = _opened(url)

    def names(self) -> list[str]:
        """Return the names of all files in the folder and those below it, sorted, without hidden ones.

        Raises:
            InputError: The folder cannot be listed; one that is not there is empty.
        """
        try:
            found = list(self._local_files()) if self._is_local else self._filesystem.find(self._path)
        except FileNotFoundError:
            return []
        except Exception as error:  # each kind of store has errors of its own
            raise InputError(f"{self.url} cannot be listed: {reason_of(error)}") from None
        start = self._path.rstrip("/") + "/" if self._path else ""
        names = (path.removeprefix(start).lstrip("/") for path in found)
        return sorted(name for name in names if not any(part.startswith(".") for part in name.split("/")))

    def _local_files(self) -> Iterator[str]:
        """Yield what fsspec's find does, but for its silence on folders below that cannot be read."""

        def refuse(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError):
                raise error

        for folder, _, files in os.walk(self._path, onerror=refuse):
            yield from (posixpath.join(folder, file) for file in files)

    def read(self, name: str) -> bytes:
        """Return what a file holds.

        Raises:
            InputError: There is no such file.
            Exception: Whatever the store raises when it cannot be reached; worth another try.
        """
        try:
            data: bytes = self._filesystem.cat_file(self._join(name))
        except (FileNotFoundError, IsADirectoryError):
            raise InputError(f"there is no file {self.url_of(name)}") from None
        return data

    def write(self, name: str, data: bytes) -> None:
        """Write a file, and the folders that it needs; whoever looks sees the old file or the new one.

        Raises:
            Exception: Whatever the store raises; worth another try.
        """
        path = self._join(name)
        self._filesystem.makedirs(posixpath.dirname(path), exist_ok=True)
        if self._is_local:
            try:
                with partial_file(Path(path)) as partial_path:
                    partial_path.write_bytes(data)
            except OSError as error:
                raise OSError(error.errno, error.strerror, path) from None  # not the partial file's name
            return
        if not WHOLE_OBJECT_PROTOCOLS.isdisjoint(self._protocols):
            self._filesystem.pipe_file(path, data)
            return
        # Always the same name: what a kill leaves behind is written over by the next run.
        partial = posixpath.join(posixpath.dirname(path), f".{posixpath.basename(path)}.partial")
        self._filesystem.pipe_file(partial, data)
        self._filesystem.mv(partial, path)

    def remove(self, name: str) -> None:
        """Remove a file; harmless where there is none.

        Raises:
            OutputError: It cannot be removed.
        """
        try:
            self._filesystem.rm_file(self._join(name))
        except FileNotFoundError:
            return
        except Exception as error:  # as in names
            raise OutputError(f"{self.url_of(name)} cannot be removed: {reason_of(error)}") from None

    def url_of(self, name: str) -> str:
        """Return what a file of the folder is called."""
        # In a chain, zip://folder::archive.zip, the place within comes first.
        first, *rest = self.url.split("::")
        return "::".join((posixpath.join(first, name), *rest))

    def place_of(self, name: str = "") -> tuple[frozenset[str], str]:
        """Return what tells a file, or the folder, from others, whatever URLs and links name it."""
        path = self._join(name)
        return frozenset(self._protocols), os.path.realpath(path) if self._is_local else path

    @property
    def is_missing(self) -> bool:
        """Whether it is a local folder that is not there; stores know no folders but those with files."""
        return self._is_local and not Path(self._path).exists()

    @property
    def _is_local(self) -> bool:
        return "file" in self._protocols

    @property
    def _protocols(self) -> set[str]:
        protocol = self._filesystem.protocol
        return {protocol} if isinstance(protocol, str) else set(protocol)

    def _join(self, name: str) -> str:
        return posixpath.join(self._path, name) if self._path else name


def split_url(url: str) -> tuple[Folder, str]:
    """Return the folder that a file's URL names, and the file's name in it.

    Raises:
        UsageError: As Folder.
    """
    first, *rest = url.split("::")
    folder, name = posixpath.split(first)
    return Folder("::".join((folder or ".", *rest))), name


def _opened(url: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    try:
        filesystem, path = url_to_fs(url)
    except ValueError as error:
        raise UsageError(f"{url} is no path and no URL that fsspec knows: {reason_of(error)}") from None
    except ImportError as error:
        raise UsageError(f"{url} needs a package that is not installed: {reason_of(error)}") from None
    except FileNotFoundError:
        raise UsageError(f"{url} names an archive that is not there") from None
    return filesystem, path


def reason_of(error: Exception) -> str:
    """Return what an error says, in one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.strerror}: {error.filename}"
    return (str(error).splitlines() or [""])[0] or type(error).__name__
