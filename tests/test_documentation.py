"""The examples of the documentation run as pasted."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import cv2
import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    page for pattern in ("*.md", "docs/*.md", "refusion/*/*.md", "*/README.md") for page in ROOT.glob(pattern)
]


@pytest.mark.parametrize("page", ["README.md", "docs/export.md", "docs/cameras.md"])
def test_python_examples_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert examples
    monkeypatch.chdir(tmp_path)
    for example in examples:
        exec(compile(example, page, "exec"), {})
    if page == "README.md":
        assert cv2.imread(str(tmp_path / "fused.png")).shape == (480, 640, 3)


@pytest.mark.parametrize("name", ["fuser", "stream.opening", "stream.synthetic.scene"])
def test_docstring_examples_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"refusion.{name}"), raise_on_error=True)
    assert result.attempted > 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target
