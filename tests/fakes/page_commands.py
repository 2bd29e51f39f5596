"""The commands of the documentation.

They stand in fenced blocks called `sh`, and after `$ ` in blocks called `console`. A span of code in the text
that begins with a program we know, and says more than its name, is one, too.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from command_checks import ALONE, PROGRAMS

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for folder in (".", "docs", "engines", "examples", "refusion", "benchmarks")
    for page in (ROOT / folder).glob("*.md" if folder == "." else "**/*.md")
    if not any(part.startswith(".") for part in page.relative_to(ROOT).parts)
)

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_VARIABLE = re.compile(r"[A-Z_]+=")
_KEYWORDS = re.compile(r"(for \w+ in .*; do|done)$")


class PageCommand(NamedTuple):
    """One command of a page."""

    words: tuple[str, ...]
    is_span: bool
    """Of a sentence: it may leave out what the command needs."""


def blocks_of(text: str) -> list[tuple[str, str]]:
    """Return what a page's fenced blocks are called and hold."""
    return [(kind, block) for _, kind, block in _FENCE.findall(text)]


def without_blocks(text: str) -> str:
    """Return a page without its fenced blocks."""
    return _FENCE.sub("", text)


def commands_of(page: Path) -> Iterator[PageCommand]:
    """Yield a page's commands, blocks before spans."""
    text = page.read_text()
    for kind, block in blocks_of(text):
        lines = block.replace("\\\n", " ").splitlines()
        if kind == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        if kind in ("sh", "console"):
            for words in map(_words, lines):
                yield from (PageCommand(tuple(each), is_span=False) for each in _split(words))
    for span in _SPAN.findall(without_blocks(text)):
        try:
            words = _words(" ".join(span.split()))
        except ValueError:  # with an apostrophe, and so no command
            continue
        if len(words) > 1 and words[0] in {"refusion", *ALONE, *PROGRAMS}:
            yield PageCommand(tuple(word for word in words if word != "..."), is_span=True)


def _words(line: str) -> list[str]:
    words = shlex.split(line, comments=True)
    while words and _VARIABLE.match(words[0]):
        words = words[1:]
    if not words or _KEYWORDS.match(line):
        return []
    return [words[0].removeprefix(".venv/bin/"), *words[1:]]


def _split(words: list[str]) -> Iterator[list[str]]:
    """Yield the commands between && and |."""
    start = 0
    for end, word in enumerate([*words, "&&"]):
        if word in ("&&", "|"):
            if words[start:end]:
                yield words[start:end]
            start = end + 1
