from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from fake_tensorrt import CACHE_MAGIC, fake_tensorrt

from refusion.backends.tensorrt.library import Flavour, Library
from refusion.export.timing_cache import TimingCache, timing_cache_path
from refusion.gpus import Gpu

H200 = Gpu("NVIDIA H200", (9, 0), 144384, False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "timing.cache"


def new_config() -> Any:
    library = Library.of(Flavour.tensorrt, fake_tensorrt("10"))
    return library.create("Builder").create_builder_config()


def keep(path: Path, name: str) -> list[str]:
    """A build that measures one kernel; returns what was reported."""
    lines: list[str] = []
    config, cache = new_config(), TimingCache(path, lines.append)
    cache.attach(config)
    config.cache.entries[name] = 1.0
    cache.save(config)
    return lines


def kept(path: Path) -> set[str]:
    return set(json.loads(path.read_bytes()[len(CACHE_MAGIC) :]))


def test_timings_are_kept_from_build_to_build(path: Path) -> None:
    assert keep(path, "a") == keep(path, "b") == []
    config = new_config()
    TimingCache(path, print).attach(config)
    assert set(config.cache.entries) == kept(path) == {"a", "b"}


def test_timings_that_came_in_between_are_not_lost(path: Path) -> None:
    keep(path, "before")
    config, cache = new_config(), TimingCache(path, print)
    cache.attach(config)
    config.cache.entries["mine"] = 1.0
    keep(path, "theirs")
    cache.save(config)
    assert kept(path) == {"before", "mine", "theirs"}


def keep_one(path: Path, name: str) -> None:
    assert keep(path, name) == []


def test_processes_that_save_at_once_lose_nothing(path: Path) -> None:
    names = [f"kernel {index}" for index in range(24)]
    with multiprocessing.get_context("fork").Pool(4) as pool:
        pool.starmap(keep_one, [(path, name) for name in names], chunksize=1)
    assert kept(path) == set(names)


@pytest.mark.parametrize("content", [b"junk", b"\0" * 100])
def test_a_damaged_cache_is_reported_and_replaced(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    (line,) = keep(path, "a")
    assert "timing.cache is damaged or of another device: begun anew" in line
    assert kept(path) == {"a"}


def test_a_cache_of_another_device_is_not_used(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(path, "a")
    lines: list[str] = []
    config = new_config()
    accept = type(config).set_timing_cache
    monkeypatch.setattr(
        type(config), "set_timing_cache", lambda self, cache, _: not cache.entries and accept(self, cache, _)
    )
    TimingCache(path, lines.append).attach(config)
    assert config.cache.entries == {}
    assert len(lines) == 1


def test_a_cache_that_cannot_be_written_is_reported_only(path: Path) -> None:
    path.parent.touch()
    (read, written) = keep(path, "a")
    assert "cannot be read: Not a directory" in read
    assert "the timing cache was not written: " in written


def test_there_is_one_file_a_gpu_and_a_version() -> None:
    def path_of(version: str, gpu: Gpu) -> Path:
        return timing_cache_path(Library.of(Flavour.tensorrt, fake_tensorrt("10", version=version)), gpu)

    h100 = Gpu("NVIDIA H100/PCIe", (9, 0), 81920, False)
    paths = {path_of(version, gpu) for version in ("10.3.0", "10.4.0") for gpu in (H200, h100)}
    assert len(paths) == 4
    assert path_of("10.3.0", h100).name == "timing-NVIDIA_H100_PCIe-sm90-tensorrt-10.3.0.cache"
