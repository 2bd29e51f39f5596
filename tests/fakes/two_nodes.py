"""A Ray cluster of two nodes with a processor each, on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def two_nodes() -> Iterator[str]:
    """Run a cluster; give its address."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 100 << 20}
    with pytest.MonkeyPatch.context() as environment:
        # Actors are no children of this process: they import the tests' modules by themselves.
        environment.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        cluster = Cluster(initialize_head=True, head_node_args=node)
        cluster.add_node(**node)
    try:
        yield cluster.address
    finally:
        cluster.shutdown()
