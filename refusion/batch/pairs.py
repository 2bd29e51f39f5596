"""The pairs of an archive: of two folders, by name, or of a list."""

from __future__ import annotations

import csv
import io
import posixpath
from collections.abc import Iterable
from typing import NamedTuple

from refusion.batch.folder import Folder, split_url
from refusion.errors import InputError
from refusion.files import IMAGE_SUFFIXES


class PairFiles(NamedTuple):
    """The files of one pair."""

    name: str
    """Of the result, without suffix; with the folders below the first one."""
    a: str
    b: str
    """Names of the files in the folders of the sources; in a list's pairs whole paths or URLs."""


class Found(NamedTuple):
    """The pairs of two folders, and what is in one of them alone."""

    pairs: tuple[PairFiles, ...]
    unmatched: tuple[str, ...]
    """Whole paths or URLs."""


def pairs_of_folders(a: Folder, b: Folder) -> Found:
    """Match the images in and below two folders by their names without suffix.

    Raises:
        InputError: A folder has no images, has two that differ in their suffix alone, or no name is in both.
    """
    images_a, images_b = _images(a), _images(b)
    pairs = tuple(
        PairFiles(stem, name, images_b[stem]) for stem, name in images_a.items() if stem in images_b
    )
    if not pairs:
        raise InputError(f"no image of {a.url} has the name (without suffix) of one in {b.url}")
    alone = [a.url_of(name) for stem, name in images_a.items() if stem not in images_b]
    alone += [b.url_of(name) for stem, name in images_b.items() if stem not in images_a]
    return Found(pairs, tuple(alone))


def _images(folder: Folder) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in folder.names():
        stem, suffix = posixpath.splitext(name)
        if suffix.lower() not in IMAGE_SUFFIXES:
            continue
        if stem in found:
            raise InputError(
                f"{folder.url_of(found[stem])} and {folder.url_of(name)} have the same name: "
                "which of them belongs to a pair?"
            )
        found[stem] = name
    if not found:
        if folder.is_missing:
            raise InputError(f"there is no folder {folder.url}")
        raise InputError(f"there are no images in {folder.url} (known: {', '.join(sorted(IMAGE_SUFFIXES))})")
    return found


def pairs_of_list(url: str) -> tuple[PairFiles, ...]:
    """Read the pairs of a CSV file with a header: columns a, b and, if results are to be named, name.

    Args:
        url: The file's path or URL. Paths in it are relative to its folder; URLs stand for themselves.

    Raises:
        UsageError: There is no such kind of URL.
        InputError: It cannot be read, has no such columns, an empty cell, or two results of one name.
    """
    folder, file = split_url(url)
    try:
        text = folder.read(file).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{url} cannot be read as a list of pairs: {error}") from None
    rows = csv.DictReader(io.StringIO(text, newline=""))
    try:
        # The first line is read here, too.
        missing = {"a", "b"} - set(rows.fieldnames or ())
        if missing:
            raise InputError(
                f"{url} has no column {' and no column '.join(sorted(missing))}: its first line must be "
                "a,b or a,b,name"
            )
        return tuple(_checked(url, (_pair(url, folder, row, rows.line_num) for row in rows)))
    except csv.Error as error:
        raise InputError(f"{url}, line {rows.line_num}: {error}") from None


def _pair(url: str, folder: Folder, row: dict[str, str], line: int) -> PairFiles:
    a, b = ((row[column] or "").strip() for column in ("a", "b"))
    if not a or not b:
        raise InputError(f"{url}, line {line}: a pair needs both a and b")
    name = (row.get("name") or "").strip() or posixpath.splitext(posixpath.basename(a.split("::")[0]))[0]
    if posixpath.isabs(name) or ".." in name.split("/") or "" in name.split("/"):
        raise InputError(f"{url}, line {line}: '{name}' is no name of a result below the output folder")
    a, b = (path if "://" in path or posixpath.isabs(path) else folder.url_of(path) for path in (a, b))
    return PairFiles(name, a, b)


def _checked(url: str, pairs: Iterable[PairFiles]) -> Iterable[PairFiles]:
    seen: set[str] = set()
    for pair in pairs:
        if pair.name in seen:
            raise InputError(f"{url}: two results would be named {pair.name}; give them a column name")
        seen.add(pair.name)
        yield pair
    if not seen:
        raise InputError(f"{url} holds no pairs")
