"""Every target of the fuzzer takes its seeds, and lets nothing but RefusionError out for hostile ones."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path

import pytest
from fuzz_targets import TARGETS, Target
from fuzz_targets.mutation import HOSTILE, cut, spoil, spoilt

_UNREADABLE_SEEDS = {"safetensors", "checkpoint", "onnx"}
"""Targets some or all of whose seeds are refused, past their format: they hold other networks than ours."""
_MOST = {"teacher": 4, "scene": 6, "request": 40}
"""Hostile inputs of a target; 100 of the others."""


@pytest.fixture(params=TARGETS.values(), ids=TARGETS)
def target(request: pytest.FixtureRequest) -> Target:
    """A target that can run here."""
    found: Target = request.param
    for package in found.needs:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    return found


def test_a_target_takes_its_seeds_and_refuses_hostile_ones(target: Target, tmp_path: Path) -> None:
    # Kept from the log of the test run: servers say something of each refusal.
    logging.disable(logging.CRITICAL)
    most = _MOST.get(target.name, 100)
    try:
        with target.tolerant(tmp_path) as parse:
            seeds = target.seeds()
            assert seeds
            for seed in seeds:
                assert len(seed) <= target.longest_bytes
                assert parse(seed) or target.name in _UNREADABLE_SEEDS
                for data in cut(seed, most=most // len(seeds) // 2):
                    parse(data)
                for data in spoilt(seed, most=most // len(seeds)) if target.is_text else ():
                    parse(data)
    finally:
        logging.disable(logging.NOTSET)


def test_the_modules_that_guide_a_target_are_there(target: Target) -> None:
    assert all(importlib.util.find_spec(module) for module in target.modules)


def test_values_are_replaced_within_texts() -> None:
    found = set(spoilt(b'{"a": 1}', most=1000))
    assert b'{"a": null}' in found
    assert b"{null: 1}" in found
    assert len(found) == 2 * len(HOSTILE)
    assert {spoil(b'{"a": 1}', seed) for seed in range(500)} == found
    assert spoil(b"", 3) in HOSTILE
