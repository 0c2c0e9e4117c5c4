"""A cluster of this machine: processes that each draw by themselves, one a GPU where GPUs draw."""

from __future__ import annotations

import logging
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

import dask.config

from plenostream.errors import InvalidInput
from plenostream.integrator.xla.environment import gpus_here
from plenostream.process.leftovers import child_processes, temporary_folder

__all__ = ["local_cluster"]

STALLED = "60s"
"""After which a worker that says nothing is ended, and its work done again by others."""
_THIS_MACHINE = "tcp://127.0.0.1"
_ANY_PORT = "127.0.0.1:0"


@contextmanager
def local_cluster(n_workers: int | str, *, device: str | None) -> Iterator[Any]:
    """A Dask cluster of `n_workers` processes, "auto" for as many as there are GPUs, else 1.

    A process that dies is started again, unless that happens while it starts. None is held to a limit
    of memory by Dask, which would end it: what a worker takes is bounded by its own budget.

    Raises
    ------
    InvalidInput : more workers than GPUs that could draw.
    """
    from distributed import Nanny, Scheduler, SpecCluster

    gpus = [] if device is not None and device.startswith("cpu") else gpus_here()
    n = (len(gpus) or 1) if isinstance(n_workers, str) else n_workers
    if gpus and n > len(gpus):
        raise InvalidInput(
            f"workers is {n}, and {len(gpus)} GPUs can draw here, one for each; say --workers "
            f"{len(gpus)}, or --device cpu"
        )
    _track_quietly()
    started: list[SpecCluster] = []

    def give_up() -> None:
        for nanny in [nanny for cluster in started for nanny in cluster.workers.values()]:
            nanny.close_gracefully()  # or it would start its worker again

    with (
        tempfile.TemporaryDirectory(prefix="plenostream-") as folder,
        temporary_folder(folder),
        child_processes(give_up),
        dask.config.set({"temporary-directory": folder}),
    ):
        common = {
            "nthreads": 1,
            "host": _THIS_MACHINE,
            "dashboard": False,
            "dashboard_address": _ANY_PORT,
            "memory_limit": 0,
            "silence_logs": logging.CRITICAL,
        }
        workers = {
            number: {"cls": Nanny, "options": common | {"env": _environment(gpus, number)}}
            for number in range(n)
        }
        scheduler = {
            "cls": Scheduler,
            "options": {
                "host": _THIS_MACHINE,
                "dashboard": False,
                "dashboard_address": _ANY_PORT,
                "worker_ttl": STALLED,
            },
        }
        with SpecCluster(
            workers=workers, scheduler=scheduler, silence_logs=logging.CRITICAL
        ) as cluster:
            started.append(cluster)
            yield cluster


def _track_quietly() -> None:
    """Start the process that removes semaphores of processes that were killed, without its warnings.

    It outlives Ctrl-C, and would have the last word on a terminal. Starting it unblocks signals in the
    thread that does: so it is done here, and `interrupts` keeps its own.
    """
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    sys.warnoptions.append("ignore::UserWarning:multiprocessing.resource_tracker")
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions.pop()
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _environment(gpus: list[str], number: int) -> dict[str, str]:
    """What a worker's process finds in its environment: the one GPU that it may use."""
    return {"CUDA_VISIBLE_DEVICES": gpus[number]} if gpus else {}
