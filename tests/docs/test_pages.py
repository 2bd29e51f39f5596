"""Pages and docstrings: links lead somewhere, examples run as pasted, blocks say what they are."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import cv2
import pytest
from page_commands import PAGES, ROOT, blocks_of, without_blocks

KINDS = {"sh", "console", "python", "text", "cpp"}

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@every_page
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@every_page
def test_blocks_say_what_they_are(page: Path) -> None:
    text = page.read_text()
    assert {kind for kind, _ in blocks_of(text)} <= KINDS
    # An indented block could hold commands that no test sees.
    assert re.findall(r"\n\n {4,}\S.*", without_blocks(text)) == []


@pytest.mark.parametrize("page", [page for page in PAGES if "```python" in page.read_text()], ids=str)
def test_python_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for kind, example in blocks_of(page.read_text()):
        if kind == "python" and not example.startswith("--8<--"):
            exec(compile(example, page, "exec"), {})
    if page.parent == ROOT:
        assert cv2.imread(str(tmp_path / "fused.png")).shape == (480, 640, 3)


@pytest.mark.parametrize("name", ["fuser", "stream.opening", "stream.synthetic.scene"])
def test_docstring_examples_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"refusion.{name}"), raise_on_error=True)
    assert result.attempted > 0
