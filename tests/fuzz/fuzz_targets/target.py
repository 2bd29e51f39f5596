"""What a fuzzer drives: one parser of outside data, and data that it accepts to begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from refusion.errors import RefusionError

Parse = Callable[[bytes], object]


@dataclass(frozen=True)
class Target:
    """One parser of outside data."""

    name: str
    opened: Callable[[Path], AbstractContextManager[Parse]]
    """Gives, for a folder to work in, what takes data; RefusionError alone may come out of it."""
    seeds: Callable[[], list[bytes]]
    """Makes data that the parser accepts."""
    modules: tuple[str, ...]
    """Modules whose branches guide the fuzzer."""
    needs: tuple[str, ...] = ()
    """Packages without which the target cannot run."""
    longest_bytes: int = 8192
    is_text: bool = True
    """Whether its data is text, in which values can be replaced."""

    @contextmanager
    def tolerant(self, folder: Path) -> Iterator[Parse]:
        """Give what tells whether data is accepted; other errors than RefusionError pass through it."""
        with self.opened(folder) as parse:

            def take(data: bytes) -> bool:
                try:
                    parse(data)
                except RefusionError:
                    return False
                return True

            yield take


def file_parser(name: str, read: Callable[[Path], object]) -> Callable[[Path], AbstractContextManager[Parse]]:
    """Return what opens a parser of files: data is written to a file of that name, and read from there."""

    @contextmanager
    def opened(folder: Path) -> Iterator[Parse]:
        path = folder / name

        def parse(data: bytes) -> object:
            path.write_bytes(data)
            return read(path)

        yield parse

    return opened


def text_parser(read: Callable[[str], object]) -> Callable[[Path], AbstractContextManager[Parse]]:
    """Return what opens a parser of texts, such as arguments of the command line."""

    @contextmanager
    def opened(folder: Path) -> Iterator[Parse]:
        del folder
        # As Python decodes the command line; NUL cannot be in an argument.
        yield lambda data: read(data.replace(b"\0", b"").decode(errors="surrogateescape"))

    return opened
