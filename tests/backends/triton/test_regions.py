from __future__ import annotations

import pytest

from refusion.backends.triton import regions
from refusion.backends.triton.failures import CallFailedError, RegionRefusedError
from refusion.backends.triton.regions import FOLDER, RegionPool


class Server:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.known: list[str] = []
        self.in_use: set[str] = set()
        self.asked = 0
        self.done_when_asked = 0
        self.is_there = True
        self.refuses = False
        self.may_abandon = True

    def register(self, name: str, byte_count: int) -> None:
        assert (FOLDER / name).stat().st_size == byte_count
        if self.refuses:
            raise RegionRefusedError("another host")
        self.known.append(name)

    def unregister(self, name: str) -> bool:
        self.asked += 1
        if not self.is_there:
            raise CallFailedError("UNAVAILABLE", "gone")
        if name in self.in_use:
            if self.asked == self.done_when_asked:
                self.in_use.clear()
            return False
        self.known = [other for other in self.known if other != name]
        return True


@pytest.fixture(autouse=True)
def sweeping_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions, "_SWEEP_EVERY_S", 0.0)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def pool() -> RegionPool:
    return RegionPool()


def test_a_region_has_no_name_once_it_is_known(server: Server, pool: RegionPool) -> None:
    region = pool.take(server, 100)
    assert server.known == [region.name]
    assert not (FOLDER / region.name).exists()
    region.floats((2, 3), offset=8)[:] = 1.0
    assert region.floats((25,)).tolist() == [0.0] * 2 + [1.0] * 6 + [0.0] * 17


def test_a_refused_region_leaves_nothing(server: Server, pool: RegionPool) -> None:
    server.refuses = True
    before = set(FOLDER.iterdir())
    with pytest.raises(RegionRefusedError):
        pool.take(server, 100)
    assert set(FOLDER.iterdir()) == before


def test_a_region_is_used_again_if_it_is_large_enough(server: Server, pool: RegionPool) -> None:
    first = pool.take(server, 100)
    pool.give_back(first)
    assert pool.take(server, 50) is first
    pool.give_back(first)
    larger = pool.take(server, 200)
    assert larger is not first
    pool.give_back(larger)
    assert pool.take(server, 100) is larger
    assert server.known == [larger.name]


def test_two_requests_have_two_regions(server: Server, pool: RegionPool) -> None:
    assert pool.take(server, 100).name != pool.take(server, 100).name


def test_an_abandoned_region_never_comes_back(server: Server, pool: RegionPool) -> None:
    region = pool.take(server, 100)
    server.in_use.add(region.name)
    pool.abandon(region, server)
    other = pool.take(server, 100)
    assert other.name != region.name
    assert region.name in server.known, "in use"
    server.in_use.clear()
    pool.give_back(other)
    assert pool.take(server, 100) is other
    assert server.known == [other.name]


def test_an_abandoned_region_is_left_to_a_server_that_would_not_survive(
    server: Server, pool: RegionPool
) -> None:
    server.may_abandon = False
    region = pool.take(server, 100)
    pool.abandon(region, server)
    pool.close(server)
    assert (server.known, server.asked) == ([region.name], 0)


def test_closing_gives_idle_regions_up(server: Server, pool: RegionPool) -> None:
    for region in (pool.take(server, 100), pool.take(server, 100)):
        pool.give_back(region)
    pool.close(server)
    assert not server.known


def test_closing_waits_for_a_server_that_still_uses_a_region(server: Server, pool: RegionPool) -> None:
    region = pool.take(server, 100)
    server.in_use.add(region.name)
    server.done_when_asked = 2
    pool.abandon(region, server)
    pool.close(server)
    assert (server.known, server.asked) == ([], 3)


def test_closing_does_not_wait_for_a_server_that_is_gone(server: Server, pool: RegionPool) -> None:
    for region in (pool.take(server, 100), pool.take(server, 100)):
        pool.give_back(region)
    server.is_there = False
    pool.close(server)
    assert server.asked == 1
