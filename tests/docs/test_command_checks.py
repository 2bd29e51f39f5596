"""What finds and checks the commands of pages: a wrong one is found, and so is one that no test knows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from command_checks import check, own_words
from command_stand_ins import NEEDS, NOT_RUN, SHORTER, WORDS
from page_commands import PAGES, commands_of

PAGE = """
Text with `refusion doctor`, `refusion`, and `frames.py`; of the blocks one is no command.

```sh
PYTHON=python3.10 make test VENV=x   # a comment
refusion fuse a.png b.png \\
    -o "c d.png"
pip install x && x --version
```

```console
$ refusion doctor
what it prints
```

```text
refusion nothing
```
"""


def test_commands_are_found_in_blocks_and_in_sentences(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    found = [(shlex.join(command.words), command.is_span) for command in commands_of(page)]
    assert found == [
        ("make test VENV=x", False),
        ("refusion fuse a.png b.png -o 'c d.png'", False),
        ("pip install x", False),
        ("x --version", False),
        ("refusion doctor", False),
        ("refusion doctor", True),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("frobnicate x", "tests can neither run nor check frobnicate"),
        ("refusion frobnicate", "No such command 'frobnicate'"),
        ("refusion fuse a.png b.png -o c.png --no-such", "No such option: --no-such"),
        ("refusion fuse a.png", "Missing parameter: b"),
        ("refusion-export --fp8", "No such option: --fp8"),
        ("python -m refusion.training --task ivif --data x -o y --no-such", "No such option: --no-such"),
        ("python -m refusion.nothing", "refusion.nothing"),
        ("python -m refusion.benchmarks.ops --no-such", "unrecognized arguments: --no-such"),
        ("python examples/nothing.py", "there is no examples/nothing.py"),
        ("python tests/soak/kills.py --only nothing", "invalid choice: 'nothing'"),
        ("bash benchmarks/gpu/nothing.sh", "there is no benchmarks/gpu/nothing.sh"),
        ("make nothing", "the Makefile has no target nothing"),
        ("make test NOTHING=1", "the Makefile has no variable NOTHING"),
        ("pip install 'refusion[web,nothing]'", "there are no such extras: refusion"),
    ],
)
def test_a_wrong_command_is_refused(line: str, message: str) -> None:
    with pytest.raises((AssertionError, ModuleNotFoundError), match=re.escape(message)):
        check(shlex.split(line))


@pytest.mark.parametrize(
    "line", ["refusion fuse", "refusion stream --serve", "python -m refusion.benchmarks.ops --json"]
)
def test_a_sentence_may_leave_out_what_a_command_needs(line: str) -> None:
    assert not check(shlex.split(line), is_whole=False)


def test_nothing_stands_in_for_what_no_page_names() -> None:
    commands = [own_words(command.words) for page in PAGES for command in commands_of(page)]
    lines = [" ".join(words) for words in commands]
    assert [
        key for key in (*SHORTER, *NOT_RUN, *NEEDS) if not any(re.match(key, line) for line in lines)
    ] == []
    words = {word for command in commands for word in command}
    assert [key for key in WORDS if not any(re.fullmatch(key, word) for word in words)] == []
