"""What drawing a scene by sets of bricks costs beside drawing it whole: workers of one core each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from distributed import Client

from benchmarks.pinned import pinned_client, require_cores
from benchmarks.table import Row, both_ratios, spread
from benchmarks.timing import Say, Timing, take_turns
from plenostream.cameras import Camera
from plenostream.cluster.subvolume_renderer import SubvolumeRenderer
from plenostream.options import RenderOptions, StreamOptions
from plenostream.results import RenderResult
from plenostream.rules.bytesize import format_bytes
from plenostream.scene import open_scene

__all__ = ["SplitFilm", "measure_subvolumes", "subvolume_rows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitFilm:
    """A film drawn by one number of workers."""

    timing: Timing
    """Of all pictures; processor time is that of the workers together."""
    balance: float
    """Bytes of a set of bricks, on average, as a part of those of the largest."""
    moved_bytes: int
    """Of sheets from worker to worker, a picture."""
    largest: float
    """Difference of a channel from the pictures of one worker."""

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return self.timing.to_dict() | {
            "balance": self.balance,
            "moved_bytes": self.moved_bytes,
            "largest_difference": self.largest,
        }


def measure_subvolumes(
    place: str,
    cameras: Sequence[Camera],
    *,
    workers: Sequence[int],
    options: RenderOptions,
    stream: StreamOptions,
    rounds: int,
    say: Say,
) -> dict[int, SplitFilm]:
    """Draw a film with each number of workers, in turns, the first of them the one to compare with.

    Raises
    ------
    InvalidInput : more workers than cores.
    """
    require_cores(workers)
    one_core = replace(stream, n_threads=1)
    with ExitStack() as stack:
        scene = stack.enter_context(open_scene(place))
        renderers: dict[int, SubvolumeRenderer] = {}
        clients: dict[int, Client] = {}
        for n in workers:
            clients[n] = stack.enter_context(pinned_client(n, say=say))
            renderers[n] = stack.enter_context(
                SubvolumeRenderer(clients[n], scene, options, one_core)
            )
        films = {n: list(renderer.pictures(cameras)) for n, renderer in renderers.items()}
        moved = {n: renderer.moved_bytes // len(cameras) for n, renderer in renderers.items()}
        timings = take_turns(
            {str(n): partial(_film, clients[n], renderers[n], cameras) for n in workers},
            rounds=rounds,
            say=say,
        )
        return {
            n: SplitFilm(
                timing=timings[str(n)],
                balance=renderers[n].plan(cameras).split.balance,
                moved_bytes=moved[n],
                largest=_difference(films[n], films[workers[0]]),
            )
            for n in workers
        }


def _film(
    client: Client, renderer: SubvolumeRenderer, cameras: Sequence[Camera]
) -> tuple[float, float]:
    """Wall time of a film, and processor time of the workers."""
    before = sum(client.run(time.process_time).values())
    began = time.perf_counter()
    for _ in renderer.pictures(cameras):
        pass
    took = time.perf_counter() - began
    return took, sum(client.run(time.process_time).values()) - before


def _difference(found: Sequence[RenderResult], expected: Sequence[RenderResult]) -> float:
    pairs = zip(found, expected, strict=True)
    return max(float(np.abs(one.rgb - other.rgb).max()) for one, other in pairs)


def subvolume_rows(films: Mapping[int, SplitFilm]) -> Iterator[Row]:
    """The figures, by the number of workers."""
    first = next(iter(films.values()))
    for n, film in films.items():
        name = f"{n} worker{'s' * (n > 1)}"
        yield Row(name, "time, of the first", both_ratios(film.timing, first.timing))
        yield Row(name, "a film", spread(film.timing))
        yield Row(name, "balance", f"{film.balance:.0%}")
        yield Row(name, "sheets moved, a picture", format_bytes(film.moved_bytes))
        yield Row(name, "difference, at most", f"{film.largest:.1e}")
