"""Commands checked as far as that goes without running them: by the parsers that would read them."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import io
import re
import runpy
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import typer

from refusion.cli.app import application

ROOT = Path(__file__).parents[2]
ALONE = {"refusion-export": ["export"], "refusion-stream": ["stream"], "refusion-bench": ["bench"]}
"""Commands that have a script of their own."""


def check(words: Sequence[str], *, is_whole: bool = True) -> bool:
    """Check a command by the parser that would read it; return whether it says all that it must.

    Args:
        words: The command.
        is_whole: Whether it must say all that it needs.

    Raises:
        AssertionError: It is neither one of ours nor among PROGRAMS, or it could not be run as it stands.
    """
    if is_ours(words):
        return _check_refusion(own_words(words), is_whole=is_whole)
    assert words[0] in PROGRAMS, f"{shlex.join(words)}: tests can neither run nor check {words[0]}"
    return PROGRAMS[words[0]](words[1:], is_whole)


def is_ours(words: Sequence[str]) -> bool:
    """Tell whether a command is one of ours."""
    return words[0] == "refusion" or words[0] in ALONE


def own_words(words: Sequence[str]) -> list[str]:
    """Return the words of one of our commands after `refusion`."""
    return [*ALONE.get(words[0], []), *words[1:]]


def _check_refusion(words: Sequence[str], *, is_whole: bool) -> bool:
    command = typer.main.get_command(application())
    _make_inert(command)
    try:
        command.main(list(words), prog_name="refusion", standalone_mode=False)
    # typer brings a click of its own, whose exceptions it does not export.
    except Exception as error:
        if not is_whole and type(error).__name__ in ("MissingParameter", "BadOptionUsage"):
            return False
        raise AssertionError(f"refusion {shlex.join(words)}: {error}") from None
    return True


def _make_inert(command: typer.core.TyperCommand | typer.core.TyperGroup) -> None:
    if isinstance(command, typer.core.TyperGroup):
        for each in command.commands.values():
            _make_inert(each)
    else:
        command.callback = lambda **values: None


def _check_python(words: Sequence[str], is_whole: bool) -> bool:
    if words[0] != "-m":
        path = ROOT / words[0]
        assert path.is_file(), f"there is no {words[0]}"
        assert "parse_args" in path.read_text(), f"{words[0]} has no parser that could check its words"
        return _check_main(lambda: runpy.run_path(str(path), run_name="__main__"), words, is_whole)
    name, *arguments = words[1:]
    if name == "refusion.training":
        return _check_refusion(["train", *arguments], is_whole=is_whole)
    assert importlib.util.find_spec(name) is not None, f"there is no module {name}"
    if name.startswith("refusion.") and arguments:
        return _check_main(lambda: importlib.import_module(name).main(), words[1:], is_whole)
    return True


OPTIONAL = ("torch", "onnx", "onnxsim", "matplotlib")
"""Packages without which some programs cannot even parse their words."""


class _ParsedError(Exception):
    """The parser took all words."""


def _check_main(main: Callable[[], object], words: Sequence[str], is_whole: bool) -> bool:
    """Run a program up to where it has parsed its command line."""
    take = argparse.ArgumentParser.parse_args

    def parse_args(parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None) -> None:
        take(parser, arguments)
        raise _ParsedError

    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(said):
        patch.setattr(sys, "argv", list(words))
        patch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
        patch.syspath_prepend((ROOT / words[0]).parent)
        try:
            main()
        except _ParsedError:
            return True
        except ModuleNotFoundError as error:
            if error.name not in OPTIONAL:
                raise
            return True
        except SystemExit:
            is_incomplete = re.search("arguments are required|expected one argument", said.getvalue())
            if is_whole or not is_incomplete:
                raise AssertionError(f"{shlex.join(words)}: {said.getvalue()}") from None
            return False
    raise AssertionError(f"{words[0]} reads no command line")


def _check_torchrun(words: Sequence[str], is_whole: bool) -> bool:
    if importlib.util.find_spec("torch") is not None:
        from torch.distributed.run import get_args_parser

        get_args_parser().parse_args(list(words))
    return _check_python(words[words.index("-m") :], is_whole)


def _check_pip(words: Sequence[str], _: bool) -> bool:
    """Names of packages are looked up nowhere, but extras of ours must exist."""
    text = (ROOT / "pyproject.toml").read_text().partition("[project.optional-dependencies]")[2]
    extras = set(re.findall(r"^([\w-]+) = \[", text.partition("[project.scripts]")[0], re.MULTILINE))
    for word in words:
        ours = re.fullmatch(r"(?:refusion|\.)\[([\w,-]+)\]", word)
        assert ours is None or set(ours[1].split(",")) <= extras, f"there are no such extras: {word}"
    return True


def _check_make(words: Sequence[str], _: bool) -> bool:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert targets is not None
    for word in words:
        name, is_variable, _value = word.partition("=")
        if is_variable:
            assert re.search(rf"^{name} \?=", makefile, re.MULTILINE), f"the Makefile has no variable {name}"
        else:
            assert word in targets[1].split(), f"the Makefile has no target {word}"
    return True


def _check_script(words: Sequence[str], _: bool) -> bool:
    assert (ROOT / words[0]).is_file(), f"there is no {words[0]}"
    return True


def _trust(words: Sequence[str], _: bool) -> bool:
    return bool(words)


_OF_OTHERS = (
    "apt-get",
    "cmake",
    "cp",
    "docker",
    "echo",
    "git",
    "mkdir",
    "pip-audit",
    "pre-commit",
    "sha256sum",
)
PROGRAMS: Mapping[str, Callable[[Sequence[str], bool], bool]] = {
    "python": _check_python,
    "python3": _check_python,
    "torchrun": _check_torchrun,
    "pip": _check_pip,
    "make": _check_make,
    "bash": _check_script,
    **dict.fromkeys((*_OF_OTHERS, "sudo", "tensorboard"), _trust),
}
"""What checks the words of each program that pages may name besides refusion, and whether they are whole."""
