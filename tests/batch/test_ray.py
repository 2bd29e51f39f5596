"""Archives on a Ray cluster: two nodes, on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from dying_job import DyingJob
from two_nodes import two_nodes

pytest.importorskip("ray", reason="ray is not installed")

from refusion import BackendError
from refusion.batch.folder import Folder
from refusion.batch.job import Job
from refusion.batch.local import run_locally
from refusion.batch.pairs import pairs_of_folders
from refusion.batch.ray_cluster import run_on_ray
from refusion.batch.run import run

# Ray's own code, and sockets that it leaves to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with two_nodes() as address:
        yield address


def results(job: Job) -> dict[str, bytes]:
    folder = Folder(job.output)
    return {name: folder.read(name) for name in folder.names() if name.endswith(".png")}


def test_a_cluster_writes_what_local_processes_do(job: Job, cluster: str) -> None:
    assert job.folders is not None
    pairs = pairs_of_folders(*map(Folder, job.folders)).pairs
    report = run(pairs, job, lambda left: run_on_ray(left, job, address=cluster))
    assert (report.fused, report.before, report.failures) == (6, 0, ())
    local = replace(job, output=f"{job.output}-local")
    assert all(not outcome.error for outcome in run_locally(pairs, local, workers=1))
    assert results(job) == results(local)
    again = run(pairs, job, lambda left: run_on_ray(left, job, address=cluster))
    assert (again.fused, again.before) == (0, 6)


def test_the_pair_that_kills_actors_is_told_from_the_others(job: Job, cluster: str) -> None:
    assert job.folders is not None
    pairs = pairs_of_folders(*map(Folder, job.folders)).pairs
    dying = DyingJob(**vars(job))
    outcomes = {one.pair.name: one for one in run_on_ray(pairs, dying, address=cluster)}
    assert sorted(outcomes) == sorted(pair.name for pair in pairs)
    assert [name for name, outcome in outcomes.items() if outcome.error] == ["2"]
    assert outcomes["2"].error == "its worker died (killed by the system, or crashed)"
    assert len(results(job)) == 5


def test_a_cluster_that_is_not_there_is_named(job: Job) -> None:
    with pytest.raises(BackendError, match="no Ray cluster at 127.0.0.1:9: "):
        list(run_on_ray((), job, address="127.0.0.1:9"))
