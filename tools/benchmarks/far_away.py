"""A server for a folder, in another process, that is far away."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from plenostream.testing.distance import Distance
from plenostream.testing.web import serving

__all__ = ["far_away"]


@contextmanager
def far_away(place: str, distance: Distance) -> Iterator[tuple[str, Callable[[], int]]]:
    """URL of a server for a folder, in another process, and what says how often it was asked."""
    new = multiprocessing.get_context("spawn")
    here, there = new.Pipe()
    wanted = (place, distance.latency_s, distance.bytes_per_s)
    server = new.Process(target=_serve, args=(there, *wanted), daemon=True)
    server.start()
    there.close()

    def requests() -> int:
        here.send("requests")
        return int(here.recv())

    try:
        yield str(here.recv()), requests
    finally:
        here.send(None)
        server.join()


def _serve(pipe: Connection, place: str, latency_s: float, bytes_per_s: float | None) -> None:
    with serving(Path(place), Distance(latency_s, bytes_per_s)) as web:
        pipe.send(web.url)
        while pipe.recv() is not None:
            pipe.send(sum(web.requests.values()))
