"""Measured kernel times, kept from build to build: a file per GPU and TensorRT version."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from refusion.backends.tensorrt.library import Library
from refusion.errors import OutputError
from refusion.export.folder_lock import locked_folder
from refusion.files import make_folder, replacing
from refusion.gpus import Gpu
from refusion.user_folders import cache_folder


def timing_cache_path(library: Library, gpu: Gpu) -> Path:
    """Return where the timings of a library on a GPU are kept; no others would be true there."""
    name = f"timing-{gpu.name}-{gpu.sm}-{library.flavour.value.text}-{library.version}.cache"
    return cache_folder() / re.sub(r"[^A-Za-z0-9._+-]", "_", name)


class TimingCache:
    """Gives a build the timings of those before it, and keeps its own.

    A cache is a help and never a hindrance: what goes wrong with it is reported, and the build goes on.
    """

    def __init__(self, path: Path, report: Callable[[str], None]) -> None:
        self._path = path
        self._report = report

    def attach(self, config: Any) -> None:
        """Set the kept timings on a builder's configuration; an empty cache where they cannot be used."""
        stored = self._read()
        if stored:
            cache = config.create_timing_cache(stored)
            if cache is not None and config.set_timing_cache(cache, False):
                return
            self._report(f"the timing cache {self._path} is damaged or of another device: begun anew")
        cache = config.create_timing_cache(b"")
        if cache is None or not config.set_timing_cache(cache, False):
            self._report("this build's timings cannot be kept: TensorRT gave no timing cache")

    def save(self, config: Any) -> None:
        """Add a build's timings to what is kept by now; other processes may have added theirs meanwhile."""
        own = config.get_timing_cache()
        if own is None:
            return
        try:
            make_folder(self._path.parent)
            with locked_folder(self._path.parent):
                data = self._merged(config, own)
                with replacing(self._path, force=True) as partial:
                    partial.write_bytes(data)
        except (OSError, OutputError) as error:
            self._report(f"the timing cache was not written: {error}")

    def _merged(self, config: Any, own: Any) -> bytes:
        stored = self._read()
        kept = config.create_timing_cache(stored) if stored else None
        if kept is not None and kept.combine(own, False):
            return bytes(kept.serialize())
        return bytes(own.serialize())

    def _read(self) -> bytes:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            self._report(f"the timing cache {self._path} cannot be read: {error.strerror}")
            return b""
