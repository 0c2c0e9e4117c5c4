"""Calls of one function on a cluster, whose results come back in order, few of them at a time.

Dask hands the calls to workers and does those again whose worker was lost. Here it is bounded how many
are under way: their results would pile up, on workers and in this process, where one early call takes
longer than those after it, or where results are taken more slowly than they come.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import time
import uuid
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import CancelledError
from functools import partial
from itertools import islice
from typing import Any

from distributed import Client, Future, KilledWorker

from plenostream.errors import ClusterError, InternalError, RenderCancelled
from plenostream.results import Cancel

__all__ = ["in_order", "result_of", "too_many_lost"]

_log = logging.getLogger(__name__)

_RETRIES = 2
"""Times that a call which raised is tried again. What no other try would change is no exception, but
a result, see `drawing`."""
_LOOK_S = 0.1
"""Seconds between looks at whether the results are still wanted."""
_WORKERS_S = 2.0
"""Seconds between looks at which workers there are."""
_ALONE_S = 120.0
"""Seconds without any worker after which none is waited for."""
_FETCH_S = 20.0
"""Seconds after which a result that does not come is asked for again: its worker may have been lost."""


def in_order(
    client: Client,
    function: Callable[..., Any],
    calls: Iterable[tuple[Any, ...]],
    *,
    most: int,
    cancel: Cancel | None = None,
) -> Generator[Any, None, None]:
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
    workers = _Workers(client)
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
                number = _next_of(finished, workers, cancel)
                there[number] = _fetched(under_way[number], workers, cancel)
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


class _Workers:
    """Those that there are, so that it is said when one is gone."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: set[str] = set()
        self._looked = 0.0
        self._alone_since: float | None = None

    def look(self) -> None:
        """Say which are gone since the last look, now and then.

        Raises ClusterError where all have been gone for long.
        """
        if time.monotonic() - self._looked < _WORKERS_S or self._client.status != "running":
            return
        self._looked, there = time.monotonic(), set(self._client.nthreads())
        for address in sorted(self._known - there):
            _log.warning("the worker %s is gone; what it was doing is done again", address)
        if there:
            self._alone_since = None
        elif self._alone_since is None:
            _log.warning("the cluster has no workers; waiting for one")
            self._alone_since = self._looked
        elif self._looked - self._alone_since > _ALONE_S:
            raise ClusterError(
                f"all workers of the cluster are gone, and none has come for {_ALONE_S:.0f} seconds"
            )
        self._known = there


def _next_of(finished: queue.SimpleQueue[int], workers: _Workers, cancel: Cancel | None) -> int:
    """The number of the next call that is done, well or not."""
    while True:
        _refuse_unwanted(cancel)
        workers.look()
        with contextlib.suppress(queue.Empty):
            return finished.get(timeout=_LOOK_S)


def _fetched(future: Future, workers: _Workers, cancel: Cancel | None) -> Any:
    """The result of a call that was done. Where its worker has been lost since, it is done again."""
    while True:
        with contextlib.suppress(TimeoutError):
            return result_of(future, _FETCH_S)
        _refuse_unwanted(cancel)
        workers.look()


def result_of(future: Future, patience_s: float) -> Any:
    """The result of a call.

    Raises
    ------
    TimeoutError : it did not come in so many seconds. ClusterError : the cluster was lost, or the call
    ended one worker after another. Whatever the call raised.
    """
    try:
        return future.result(timeout=patience_s)
    except TimeoutError:
        if future.status == "error":  # it is what the call raised
            raise InternalError("a call on the cluster timed out") from None
        raise
    except KilledWorker as error:
        raise too_many_lost(error.last_worker.address) from None
    except (CancelledError, asyncio.CancelledError, OSError) as error:
        if future.status == "error":
            raise
        raise ClusterError(
            "the cluster was lost: its scheduler ended, or cannot be reached any more "
            f"({type(error).__name__})"
        ) from None


def too_many_lost(last: str) -> ClusterError:
    """The error for a picture that ended one worker after another, the one at `last` too."""
    return ClusterError(
        f"one worker after another was lost over the same picture, the last at {last}; most likely they "
        "ran out of memory: allow a worker less (device_memory, host_memory), or fewer workers on each "
        "machine"
    )
