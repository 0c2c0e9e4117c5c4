"""Clusters of this machine whose workers have a core each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from distributed import Client

from benchmarks.timing import Say
from plenostream.cluster.opening import open_client
from plenostream.errors import InvalidInput
from plenostream.options import ClusterOptions

__all__ = ["pinned_client", "require_cores"]


def require_cores(workers: Sequence[int]) -> None:
    """Raise InvalidInput where one of these numbers of workers is more than there are cores."""
    n_cores = len(os.sched_getaffinity(0))
    if max(workers) > n_cores:
        raise InvalidInput(f"{max(workers)} workers take a core each, and there are {n_cores}")


@contextmanager
def pinned_client(n: int, *, say: Say) -> Iterator[Client]:
    """A client of a cluster of `n` workers, each of which runs on a core of its own."""
    say(f"starting {n} worker{'s' * (n != 1)}")
    cores = sorted(os.sched_getaffinity(0))
    with open_client(ClusterOptions(workers=n), device="cpu") as client:
        for core, address in zip(cores, client.nthreads(), strict=False):
            client.run(os.sched_setaffinity, 0, {core}, workers=[address])
        yield client
