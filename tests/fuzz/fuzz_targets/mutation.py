"""Hostile values in the place of good ones: what changing single bytes of a text takes very long to find."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

HOSTILE = (
    *(b"null", b"true", b"-1", b"0", b"1e999", b".nan", b'""', b"[]", b"{}", b"[[1]]", b'{"a": 1}', b"? [1]"),
    b"1" + 400 * b"0",  # past the largest float
    5000 * b"9",  # past what Python turns into an int
    3000 * b"[",  # past its recursion limit
    b'"\\ud800"',  # half a character
    b"2020-99-99",  # a date to YAML, and none
    b"&a [*a]",  # holds itself
    b"!!binary x",
    b"\xff\xfe",
)
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[-+\w.]+')


def spoilt(text: bytes, *, most: int) -> Iterator[bytes]:
    """Yield the text with one of its words or values replaced by a hostile one, at most so many of them."""
    tokens = list(_TOKEN.finditer(text))
    chosen = [(token, value) for token in tokens for value in HOSTILE]
    for token, value in random.Random(0).sample(chosen, min(most, len(chosen))):
        yield text[: token.start()] + value + text[token.end() :]


def cut(data: bytes, *, most: int) -> Iterator[bytes]:
    """Yield beginnings of the data, and the data with single bytes changed, at most so many of each."""
    chance = random.Random(0)
    for _ in range(most):
        position = chance.randrange(len(data) + 1)
        yield data[:position]
        yield data[:position] + bytes([chance.randrange(256)]) + data[position + 1 :]


def spoil(text: bytes, seed: int) -> bytes:
    """Return the text with a value replaced, chosen by the seed."""
    chance = random.Random(seed)
    tokens = list(_TOKEN.finditer(text))
    if not tokens:
        return chance.choice(HOSTILE)
    token = chance.choice(tokens)
    return text[: token.start()] + chance.choice(HOSTILE) + text[token.end() :]
