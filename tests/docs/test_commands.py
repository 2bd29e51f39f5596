"""Every command of the pages: run, with stand-ins for what is not here, or checked by what would parse it."""

from __future__ import annotations

import itertools
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from command_checks import check, is_ours, own_words
from command_stand_ins import PREPARED, adapted, why_not_run, workshop
from page_commands import PAGES, ROOT, commands_of

import refusion.cli

OUTPUTS = ("-o", "--output", "--json", "--preview")
Run = Callable[[Sequence[str]], None]


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that speaks Triton's protocol."""
    pytest.importorskip("tritonclient.grpc", reason="tritonclient is not installed")
    from triton_repository import served
    from triton_server import serving

    from refusion.export.triton import write_model_repository
    from refusion.models import Model

    folder = tmp_path_factory.mktemp("triton") / "repository"
    write_model_repository(folder, [served(Model.full)], force=False)
    with serving(folder) as address:
        yield address


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Run:
    """Run one of our commands in a folder with all that it needs, unless it has been run there."""
    here = tmp_path_factory.mktemp("workshop")
    workshop(here)
    has_run = set()

    def run_once(command: Sequence[str]) -> None:
        server = request.getfixturevalue("triton") if "--triton-url" in command else ""
        words = adapted(own_words(command), server)
        if tuple(words) in has_run:
            return
        if "--resume" not in words:
            remove_outputs(words, here)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(here)
            patch.setenv("REFUSION_DATA", "DATA")
            patch.setattr(sys, "argv", ["refusion", *words])

            with pytest.raises(SystemExit) as leaving:
                refusion.cli.main()
        assert not leaving.value.code, f"{shlex.join(command)} was run as: refusion {shlex.join(words)}"
        has_run.add(tuple(words))

    for line in PREPARED:
        if not why_not_run(own_words(line.split())):
            run_once(line.split())
    return run_once


def remove_outputs(words: Sequence[str], here: Path) -> None:
    """Remove what another command wrote: pages give the same names to many outputs."""
    for option, value in itertools.pairwise(words):
        if option in OUTPUTS:
            if (here / value).is_dir():
                shutil.rmtree(here / value)
            (here / value).unlink(missing_ok=True)
            (here / value).parent.mkdir(parents=True, exist_ok=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_a_page(page: Path, run: Run) -> None:
    for words, is_span in commands_of(page):
        is_whole = check(words, is_whole=not is_span)
        if is_ours(words) and is_whole and not why_not_run(own_words(words)):
            run(words)
