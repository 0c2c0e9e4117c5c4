"""The workers that each keep a subvolume: what is asked of them, and what becomes of one that is lost."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import dask.config
from dask.base import annotate
from distributed import Client, Future, wait

from plenostream.cluster.holding import CLOSING_S, let_go
from plenostream.cluster.in_order import result_of, too_many_lost
from plenostream.cluster.jobs import Job
from plenostream.cluster.sheet_tasks import draw_sheet, finish_band, join_sheets
from plenostream.cluster.splitting import kept_by, placed
from plenostream.engine.bands import Band, RayBand
from plenostream.errors import ClusterError, RenderCancelled
from plenostream.plan import Cut, Split, fold
from plenostream.results import Cancel

__all__ = ["Keepers", "Tasks"]

_log = logging.getLogger(__name__)

_RETRIES = 2
"""Times that a call which raised is tried again, as of `in_order`."""
_LOOK_S = 0.1
"""Seconds between looks at whether pictures are wanted, and all workers there."""
_FETCH_S = 5.0
"""Seconds after which a result that does not come is looked after: its worker may have been lost."""
_PATIENCE_S = 15.0
"""Seconds in which another worker may come for one that was lost, before others take over."""


@dataclass(frozen=True, slots=True)
class Tasks:
    """What workers are asked for."""

    draw: Callable[..., Any] = draw_sheet
    join: Callable[..., Any] = join_sheets
    finish: Callable[..., Any] = finish_band


class Keepers:
    """Which worker keeps what of a split scene. Calls go to the worker that keeps what they need."""

    def __init__(self, client: Client, job: Job, split: Split, tasks: Tasks | None = None) -> None:
        """Give the workers that there are what they keep; `tasks` in place of those that draw."""
        self._client, self._job, self._split = client, job, split
        self._tasks = Tasks() if tasks is None else tasks
        self.where = placed(split, self._workers())
        """Address of the worker of each subvolume."""
        self.kept = kept_by(split, self.where)
        """What each worker keeps."""
        self._number = 0
        self._n_losses = 0
        """Times that workers were lost since a band was finished."""

    def _workers(self) -> list[str]:
        return sorted(self._client.nthreads())

    def close(self) -> None:
        """Have the workers close what they opened."""
        there = self._client.nthreads()
        asked = [
            self._client.submit(let_go, (self._job, kept), workers=[at], pure=False, priority=1)
            for at, kept in self.kept.items()
            if at in there
        ]
        with suppress(TimeoutError, CancelledError):
            wait(asked, timeout=CLOSING_S)

    def draw(self, band: Band) -> Future:
        """Have a band drawn by all workers, put together and finished.

        All of it is one graph: a call by itself takes a scheduler 6 ms, and one of a graph 1.
        """
        self._number += 1
        asked: Any = band
        if isinstance(band, RayBand):
            # Data goes to workers directly, and not with each task through the scheduler.
            asked = self._client.scatter(band, broadcast=True, hash=False)
        name = f"plenostream-{uuid.uuid4().hex}"
        graph: dict[str, tuple[Any, ...]] = {}
        places: dict[str, list[str]] = {}

        def call(at: str, function: Callable[..., Any], *arguments: Any) -> str:
            key = f"{name}-{len(graph)}"
            graph[key], places[key] = (function, self._job, *arguments), [at]
            return key

        def sheet_of(number: int) -> tuple[str, str]:
            at = self.where[number]
            return call(at, self._tasks.draw, self.kept[at], number, asked), at

        def join(cut: Cut, low: tuple[str, str], high: tuple[str, str]) -> tuple[str, str]:
            at = low[1]
            return call(at, self._tasks.join, asked, cut, low[0], high[0]), at

        sheet, at = fold(self._split.root, sheet_of, join)
        last = call(at, self._tasks.finish, self.kept[at], asked, sheet)
        with annotate(workers=places.__getitem__, retries=_RETRIES, priority=-self._number):
            (future,) = self._client.get(graph, [last], sync=False)
        assert isinstance(future, Future)
        return future

    def ask(self, function: Callable[..., Any], *arguments: Any, at: str) -> Future:
        """A call at one worker, and at no other."""
        return self._client.submit(
            function,
            self._job,
            *arguments,
            workers=[at],
            allow_other_workers=False,
            pure=False,
            retries=_RETRIES,
            priority=-self._number,
        )

    def results(self, futures: Sequence[Future], cancel: Cancel | None) -> list[Any] | None:
        """What the calls give, once all are done; None where a worker that keeps something is lost.

        Raises
        ------
        RenderCancelled : `cancel` said so. ClusterError : the cluster was lost. Whatever a call raised,
        when it was tried again.
        """
        looked = time.monotonic()
        while True:
            with suppress(TimeoutError):
                with suppress(CancelledError):  # each result says why
                    wait(futures, timeout=_LOOK_S)
                return [result_of(future, _FETCH_S) for future in futures]
            if cancel is not None and cancel():
                raise RenderCancelled("the pictures are not wanted any more")
            if self._client.status != "running":
                raise ClusterError("the cluster was lost: its scheduler cannot be reached any more")
            if time.monotonic() - looked > _LOOK_S:
                looked = time.monotonic()
                if self._lost():
                    return None

    def _lost(self) -> list[str]:
        """Workers that keep something and are not there any more."""
        there = self._client.nthreads()
        return [at for at in self.kept if at not in there]

    def note_finished(self) -> None:
        """A band was finished: workers that are lost later are not lost over it."""
        self._n_losses = 0

    def replace_lost(self, cancel: Cancel | None) -> None:
        """Give what lost workers kept to new ones, or after a while to those that are left.

        Raises ClusterError where they are lost again and again, and no band is finished.
        """
        lost, ends = self._lost(), time.monotonic() + _PATIENCE_S
        self._n_losses += 1
        if lost and self._n_losses > dask.config.get("distributed.scheduler.allowed-failures"):
            raise too_many_lost(lost[-1])
        while True:
            workers = self._workers()
            spare = [at for at in workers if at not in self.kept]
            if len(spare) >= len(lost) or time.monotonic() > ends:
                break
            if cancel is not None and cancel():
                raise RenderCancelled("the pictures are not wanted any more")
            time.sleep(_LOOK_S)
        if not workers:
            raise ClusterError("all workers of the cluster were lost, and no other has come")
        self.where = placed(self._split, workers, self.where)
        self.kept = kept_by(self._split, self.where)
        for at in lost:
            _log.warning("worker %s was lost; what it kept of the scene goes to others", at)
