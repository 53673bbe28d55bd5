"""A Dask cluster computes what this machine computes, to the last bit."""

from __future__ import annotations

import pytest

from stafett.design.compare import compare
from stafett.design.experiment import Plan
from stafett.design.reading import load


@pytest.mark.slow
def test_a_dask_cluster_gives_the_same_comparison() -> None:
    """A scheduler and two workers in processes of their own, over loopback."""
    distributed = pytest.importorskip("distributed", reason="Dask is not installed here")

    systems, plan = {"sweden-tissue": load("sweden-tissue")}, Plan(2, 0.5, 0.25, 3)
    here = compare(systems, plan)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        there = compare(systems, plan, executor=client.get_executor())
    assert repr(here) == repr(there)
