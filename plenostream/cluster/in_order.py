"""Calls of one function on a cluster, whose results come back in order, few of them at a time.

Dask hands the calls to workers and does those again whose worker was lost. Here it is bounded how many
are under way: their results would pile up, on workers and in this process, where one early call takes
longer than those after it, or where results are taken more slowly than they come.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from functools import partial
from itertools import islice
from typing import Any

from distributed import Client, Future, KilledWorker

from plenostream.errors import ClusterError, RenderCancelled
from plenostream.results import Cancel

__all__ = ["in_order"]

_log = logging.getLogger(__name__)

_RETRIES = 2
"""Times that a call which raised is tried again. What no other try would change is no exception, but
a result, see `drawing`."""
_LOOK_S = 0.1
"""Seconds between looks at whether the results are still wanted."""
_ALONE_S = 5.0
"""Seconds without a result after which it is looked whether there is any worker."""
_FETCH_S = 20.0
"""Seconds after which a result that does not come is asked for again: its worker may have been lost."""


def in_order(
    client: Client,
    function: Callable[..., Any],
    calls: Iterable[tuple[Any, ...]],
    *,
    most: int,
    cancel: Cancel | None = None,
) -> Iterator[Any]:
    """The results of `function` for the arguments in `calls`, in their order.

    Results go from workers to this process directly where they reach each other. When the iterator is
    closed, the calls under way are cancelled.

    Parameters
    ----------
    most : calls under way and results that wait for earlier ones, together
    cancel : says whether no more results are wanted

    Raises
    ------
    ClusterError : the cluster was lost, or a call ended one worker after another. RenderCancelled :
    `cancel` said so. Whatever a call raised, when it was tried again.
    """
    finished: queue.SimpleQueue[int] = queue.SimpleQueue()
    under_way: dict[int, Future] = {}
    there: dict[int, Any] = {}
    numbered = enumerate(calls)
    name = f"plenostream-{function.__name__}-{uuid.uuid4().hex[:12]}"
    wanted = 0
    try:
        while True:
            for number, arguments in islice(numbered, most - len(under_way) - len(there)):
                under_way[number] = future = client.submit(
                    function,
                    *arguments,
                    key=f"{name}-{number}",
                    pure=False,
                    retries=_RETRIES,
                    priority=-number,
                )
                future.add_done_callback(partial(_tell, finished, number))
            if not under_way and not there:
                return
            while wanted not in there:
                number = _next_of(finished, client, cancel)
                there[number] = _fetched(under_way[number], client, cancel)
                del under_way[number]
            yield there.pop(wanted)
            wanted += 1
    finally:
        if under_way and client.status == "running":
            client.cancel(list(under_way.values()))


def _tell(finished: queue.SimpleQueue[int], number: int, future: Future) -> None:
    del future
    finished.put(number)


def _refuse_unwanted(cancel: Cancel | None) -> None:
    if cancel is not None and cancel():
        raise RenderCancelled("the pictures are not wanted any more")


def _next_of(finished: queue.SimpleQueue[int], client: Client, cancel: Cancel | None) -> int:
    """The number of the next call that is done, well or not."""
    looked, alone = time.monotonic(), False
    while True:
        try:
            return finished.get(timeout=_LOOK_S)
        except queue.Empty:
            _refuse_unwanted(cancel)
            if time.monotonic() - looked > _ALONE_S and client.status == "running":
                looked = time.monotonic()
                if not client.nthreads() and not alone:
                    alone = True
                    _log.warning("the cluster has no workers; waiting for one")


def _fetched(future: Future, client: Client, cancel: Cancel | None) -> Any:
    """The result of a call that was done. Where its worker has been lost since, it is done again."""
    while True:
        try:
            return future.result(timeout=_FETCH_S)
        except TimeoutError:
            if future.status == "error":
                raise
            _refuse_unwanted(cancel)
        except KilledWorker as error:
            raise ClusterError(
                f"one worker after another was lost over the same picture, the last at "
                f"{error.last_worker.address}; most likely they ran out of memory: allow a worker less "
                "(device_memory, host_memory), or fewer workers on each machine"
            ) from None
        except (CancelledError, asyncio.CancelledError, OSError) as error:
            if future.status == "error":
                raise
            raise ClusterError(
                f"the cluster was lost: its scheduler ended, or cannot be reached any more "
                f"({client.status}, {type(error).__name__})"
            ) from None
