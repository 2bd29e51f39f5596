"""Each test runs against the stand-in, and against Triton where $REFUSION_TRITON_SERVER names it."""

from __future__ import annotations

import itertools
import os
import threading
from typing import Any

import numpy as np
import pytest

from refusion import Fuser
from refusion.backends.triton.regions import FOLDER
from refusion.stream.synthetic import SyntheticScene

SCENE = SyntheticScene(width_px=64, height_px=48)


def levels_apart(one: Any, other: Any) -> int:
    return int(np.abs(one.astype(np.int16) - other).max())


def regions_here() -> set[str]:
    return {path.name for path in FOLDER.glob(f"refusion_{os.getpid()}_*")}


@pytest.mark.parametrize("way", ["shared_memory=on", "shared_memory=off"])
@pytest.mark.parametrize("model", ["full", "lite"])
def test_frames_equal_local_ones(server: Any, way: str, model: str) -> None:
    pairs = [SCENE.pair(index) for index in range(4)]
    # One more than the largest batch of the server.
    batch = [(pair.a, pair.b) for pair in (*pairs, pairs[0])]
    with Fuser("ivif", model=model, device="cpu") as fuser:
        singles = [fuser(pair.a, pair.b) for pair in pairs]
        together = fuser.batch(batch)
    with Fuser("ivif", model=model, backend="triton", url=f"{server.address}?{way}") as fuser:
        assert (", shared memory;" in fuser.description) is (way == "shared_memory=on")
        for pair, expected in zip(pairs, singles, strict=True):
            assert levels_apart(fuser(pair.a, pair.b), expected) <= 1
        for found, expected in zip(fuser.batch(batch), together, strict=True):
            assert levels_apart(found, expected) <= 1
        assert not regions_here(), "regions have no names while they are used"


def test_sizes_may_change(server: Any) -> None:
    random = np.random.default_rng(0)
    with (
        Fuser("ivif", device="cpu") as here,
        Fuser("ivif", backend="triton", url=f"{server.address}?shared_memory=on") as there,
    ):
        for height, width in ((16, 16), (48, 64), (17, 23), (60, 81)):
            a, b = random.integers(0, 256, (2, height, width), np.uint8)
            assert levels_apart(there(a, b), here(a, b)) <= 1


@pytest.mark.parametrize("way", ["on", "off"])
def test_a_server_that_is_killed_and_comes_back_costs_no_frame(server: Any, way: str) -> None:
    pairs = [SCENE.pair(index) for index in range(60)]
    with Fuser("ivif", device="cpu") as fuser:
        expected = list(fuser.stream().frames((pair.a, pair.b) for pair in pairs))
    assert all(levels_apart(one, other) > 1 for one, other in itertools.pairwise(expected))

    def absent() -> None:
        server.kill()
        server.start()

    absence = threading.Thread(target=absent)
    found = []
    with Fuser("ivif", backend="triton", url=f"{server.address}?shared_memory={way}&retry_s=60") as fuser:
        for index, frame in enumerate(fuser.stream().frames((pair.a, pair.b) for pair in pairs)):
            if index == 5:
                absence.start()
            found.append(frame)
    absence.join()
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert levels_apart(one, other) <= 1


def test_many_clients_share_a_server(server: Any) -> None:
    pairs = [SCENE.pair(10 * index) for index in range(3)]
    with Fuser("ivif", device="cpu") as fuser:
        expected = [fuser(pair.a, pair.b) for pair in pairs]
    furthest: list[int] = []

    def client(index: int) -> None:
        url = f"{server.address}?shared_memory={('on', 'off')[index % 2]}"
        with Fuser("ivif", backend="triton", url=url) as fuser:
            for _ in range(5):
                fused = fuser(pairs[index].a, pairs[index].b)
                furthest.append(levels_apart(fused, expected[index]))

    threads = [threading.Thread(target=client, args=(index,)) for index in range(len(pairs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(furthest) == 5 * len(pairs)
    assert max(furthest) <= 1


def test_the_server_gives_its_regions_up(server: Any) -> None:
    with Fuser("ivif", backend="triton", url=f"{server.address}?shared_memory=on") as fuser:
        fuser(SCENE.pair(0).a, SCENE.pair(0).b)
        assert server.region_count() == 1
    assert server.region_count() == 0


def test_a_server_that_is_held_up_answers_nobody_wrongly(server: Any) -> None:
    """It goes on with requests that were given up, while later ones have their turn."""
    pairs = [SCENE.pair(5 * index) for index in range(12)]
    with Fuser("ivif", device="cpu") as fuser:
        expected = [fuser(pair.a, pair.b) for pair in pairs]
    with Fuser("ivif", backend="triton", url=f"{server.address}?shared_memory=on&deadline_s=1") as fuser:
        fuser(pairs[0].a, pairs[0].b)
        holding = threading.Thread(target=server.hold_up, args=(1.5,))
        holding.start()
        for pair, right in zip(pairs, expected, strict=True):
            assert levels_apart(fuser(pair.a, pair.b), right) <= 1
        holding.join()
