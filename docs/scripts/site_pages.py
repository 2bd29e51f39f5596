"""The pages of the site: those of docs/, what they link to outside of it, and all commands. A hook of MkDocs.

Pages link to each other as they lie in the repository, so that they can be read there. MkDocs knows the
files of docs/ alone; here each file gets its path from the repository's root, and what is linked to comes
along.
"""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import dirname, join, normpath

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from typer.cli import get_docs_for_click

from refusion.cli.app import application

ROOT = Path(__file__).parents[2]
START = "README.md"
COMMANDS = "docs/commands.md"
"""Of the site alone."""
LINK = re.compile(r"\]\(([^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Return the files of the theme and of docs/, the start page, whatever they link to, and all commands."""
    themes = [file for file in files if file.src_dir != config.docs_dir]
    inside = {f"docs/{file.src_uri}": file.inclusion for file in files if file.src_dir == config.docs_dir}
    found = {uri: _file(uri, inclusion, config) for uri, inclusion in inside.items()}
    waiting = [START, *(uri for uri, inclusion in inside.items() if inclusion.is_included())]
    while waiting:
        uri = waiting.pop()
        found.setdefault(uri, _file(uri, InclusionLevel.NOT_IN_NAV, config))
        if uri.endswith(".md"):
            targets = {normpath(join(dirname(uri), link)) for link in LINK.findall((ROOT / uri).read_text())}
            waiting += [target for target in targets - found.keys() if (ROOT / target).is_file()]
    commands = _file(COMMANDS, InclusionLevel.INCLUDED, config)
    commands.content_string = commands_page()
    return Files([*themes, *found.values(), commands])


def commands_page() -> str:
    """Return what `--help` says of every command, as a page."""
    group = typer.main.get_command(application())
    context = typer.Context(group, info_name="refusion")
    return get_docs_for_click(obj=group, ctx=context, name="refusion", title="All commands and options")


def _file(uri: str, inclusion: InclusionLevel, config: MkDocsConfig) -> File:
    file = File(uri, str(ROOT), config.site_dir, config.use_directory_urls, inclusion=inclusion)
    file.dest_uri = file.dest_uri.removeprefix("docs/")
    return file
