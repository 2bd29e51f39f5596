"""Lets the site show pages and files that lie outside of docs/: a hook of MkDocs, named in mkdocs.yml.

Pages link to each other as they lie in the repository, so that they can be read there. MkDocs knows the
files of docs/ alone; here each file gets its path from the repository's root, and what is linked to comes
along.
"""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import dirname, join, normpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).parents[2]
START = "README.md"
LINK = re.compile(r"\]\(([^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Return the files of the theme and of docs/, the start page, and whatever they link to, and so on."""
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
    return Files([*themes, *found.values()])


def _file(uri: str, inclusion: InclusionLevel, config: MkDocsConfig) -> File:
    file = File(uri, str(ROOT), config.site_dir, config.use_directory_urls, inclusion=inclusion)
    file.dest_uri = file.dest_uri.removeprefix("docs/")
    return file
