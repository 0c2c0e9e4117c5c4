"""Runs the packing of slabs through Dask: threads here, or the cluster of the user's client.

The graph is the same in both cases: a task a slab. Tasks write files and return counts, so nothing
large travels; each puts its chunks where they go by itself. A task whose worker was lost is done again,
to the same bytes. How many slabs may be in flight is a matter of memory: here the pool has so many
threads; in a cluster with more of them, tasks wait for earlier ones.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import dask.threaded
from dask.base import compute
from dask.callbacks import Callback
from dask.delayed import Delayed, delayed

from plenostream.errors import ClusterError
from plenostream.importers.packing.slab import SlabJob, pack_slab

__all__ = ["n_processes", "n_workers", "pack_slabs"]

_CANCELLED = (CancelledError, asyncio.CancelledError)
_LOOK_S = 1.0
"""Seconds between looks at whether there are workers."""


def _graph(job: SlabJob, slabs: Sequence[int], *, in_flight: int) -> list[Delayed]:
    """A task for each slab; each waits for the one `in_flight` places before it."""
    pack = delayed(pack_slab, pure=False)
    shared = delayed(job, traverse=False)
    tasks: list[Delayed] = []
    for number, slab in enumerate(slabs):
        before = tasks[number - in_flight : number - in_flight + 1] if number >= in_flight else []
        tasks.append(pack(shared, slab, *before))
    return tasks


def _active_client() -> Any:
    """The user's `dask.distributed` client, if there is one."""
    # Without a client nobody has imported distributed, and importing it takes half a second.
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    try:
        return distributed.default_client()
    except ValueError:
        return None


def n_workers(asked: int | None) -> int:
    """Slabs that can be packed at a time: of the cluster, as asked, or one a core."""
    client = _active_client()
    if client is not None:
        return max(1, sum(int(n) for n in client.nthreads().values()))
    return asked or len(os.sched_getaffinity(0))


def n_processes() -> int:
    """Processes that pack: of the cluster, or this one."""
    client = _active_client()
    return 1 if client is None else max(1, len(client.nthreads()))


def pack_slabs(
    job: SlabJob, slabs: Sequence[int], *, in_flight: int, progress: Callable[[], None]
) -> None:
    """Pack the `slabs`, at most `in_flight` at a time; `progress` is called when one is done.

    Raises
    ------
    CheckpointError : from the first slab that failed. ClusterError : the cluster was lost, or does not
        see the work.
    """
    client = _active_client()
    if client is not None:
        _pack_on_cluster(client, job, slabs, in_flight, progress)
        return
    tasks = _graph(job, slabs, in_flight=len(slabs))
    keys = {task.key for task in tasks}

    def count(key: object, *_: object) -> None:
        if key in keys:
            progress()

    counting = Callback(posttask=count)  # type: ignore[no-untyped-call]
    with ThreadPoolExecutor(in_flight) as pool, counting:
        # Asked for "threads" by name, Dask imports distributed, to no end: 48 MB and half a second.
        compute(*tasks, scheduler=dask.threaded.get, pool=pool)  # type: ignore[no-untyped-call]


def _pack_on_cluster(
    client: Any, job: SlabJob, slabs: Sequence[int], in_flight: int, progress: Callable[[], None]
) -> None:
    distributed = sys.modules["distributed"]
    _refuse_blind(client, job.work)
    enough = in_flight >= n_workers(None)
    futures = client.compute(_graph(job, slabs, in_flight=len(slabs) if enough else in_flight))
    try:
        for future in distributed.as_completed(futures):
            future.result()
            progress()
    except distributed.KilledWorker as error:
        _stop(client, job, futures)
        raise ClusterError(
            "one worker after another was lost over the same slab, the last at "
            f"{error.last_worker.address}; most likely they ran out of memory: allow less "
            "(host_memory), or fewer workers on each machine. --resume goes on with the others"
        ) from None
    except BaseException as error:
        _stop(client, job, futures)
        if isinstance(error, _CANCELLED) or client.status != "running":
            raise ClusterError(
                "the cluster was lost: its scheduler ended, or cannot be reached any more "
                f"({type(error).__name__}); --resume goes on from what is packed"
            ) from None
        raise


def _stop(client: Any, job: SlabJob, futures: Any) -> None:
    """Wait for tasks that run, which cannot be called back, and must not write into a folder that is
    being removed; the others end before they begin. Without workers none runs."""
    job.stop_file.touch()
    with suppress(*_CANCELLED, OSError):  # the cluster is gone
        while client.status == "running" and client.nthreads():
            with suppress(TimeoutError):
                sys.modules["distributed"].wait(futures, timeout=_LOOK_S)
                return


def _refuse_blind(client: Any, folder: str) -> None:
    """Raise ClusterError where a worker does not see the folder of the work."""
    for worker, sees in client.run(os.path.isdir, folder).items():
        if not sees:
            raise ClusterError(
                f"the worker {worker} does not see {folder}, where the work lies; workers must see the "
                "checkpoint and the work at the same paths as this process. The work is beside the "
                "scene or, for a scene at a URL, in the current folder"
            )
