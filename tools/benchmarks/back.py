"""What going back costs: derivatives of a loss of pictures, beside drawing them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.table import Row, both_ratios, spread
from benchmarks.timing import Contestant, Say, Timing, take_turns, timed
from plenostream.cameras import Camera
from plenostream.engine.opening import open_session
from plenostream.engine.picture import PictureJob
from plenostream.engine.rays import RaysJob
from plenostream.engine.session import Lot, Session
from plenostream.engine.way_back import RayLoss, WayBack, open_back_session
from plenostream.field.tiles import TILE
from plenostream.format.opening import open_store
from plenostream.integrator.interface import RowDerivatives
from plenostream.options import RenderOptions, StreamOptions

__all__ = ["BackFigures", "back_rows", "measure_back"]

_TILES = 64
"""Tiles of rays of random views: a step of training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackFigures:
    """Drawing, and drawing and going back, in turns."""

    drawn: Timing
    both: Timing
    handed_over: Timing
    """The same, with the derivatives of all bricks that were met handed over."""


def _tiles(cameras: Sequence[Camera]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Origins and directions [n, 3] of tiles of random pixels of random views."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(_TILES):
        camera = cameras[int(rng.integers(len(cameras)))]
        left, top = (int(rng.integers(n - TILE)) for n in (camera.width, camera.height))
        part = camera.region(left, top, TILE, TILE)
        found.append([a.reshape(-1, 3) for a in part.rays()[:2]])
    origins, directions = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    return origins, directions


def measure_back(
    place: str,
    cameras: Sequence[Camera],
    *,
    options: RenderOptions,
    stream: StreamOptions,
    rounds: int,
    say: Say,
) -> dict[str, BackFigures]:
    """The first view as a whole, and tiles of random ones, with all they show in the pool."""
    found = {}
    with ExitStack() as stack:
        store = stack.enter_context(open_store(place))
        only, *_ = open_session(store, options, stream)
        stack.callback(only.close)
        back = open_back_session(store, options, stream)
        stack.callback(back.close)
        origins, directions = _tiles(cameras)

        def picture(session: Session, turn: Callable[[Lot], Lot] | None) -> None:
            PictureJob(session, cameras[0]).draw(turn=turn)

        def tiles(session: Session, turn: Callable[[Lot], Lot] | None) -> None:
            RaysJob(session, origins, directions).draw(turn=turn)

        for name, draw in (("a picture", picture), (f"{_TILES} tiles of random views", tiles)):
            contestants = _contestants(only, back, draw)
            for run in contestants.values():
                run()
            times = take_turns(contestants, rounds=rounds, say=partial(_say, say, name))
            found[name] = BackFigures(**times)
    return found


def _say(say: Say, name: str, what: str) -> None:
    say(f"{name}: {what}")


def _contestants(
    only: Session, back: Session, draw: Callable[[Session, Callable[[Lot], Lot] | None], None]
) -> dict[str, Contestant]:
    def loss(_: Lot, rgb: NDArray[np.float32], alpha: NDArray[np.float32]) -> RayLoss:
        return RayLoss(rgb - np.float32(0.5))

    def keep(bricks: NDArray[np.int64], derivatives: RowDerivatives) -> None:
        pass

    way = WayBack(back, loss, keep)

    def handed_over() -> None:
        draw(back, way.turn)
        way.collect()

    return {
        "drawn": timed(lambda: draw(only, None)),
        "both": timed(lambda: draw(back, way.turn)),
        "handed_over": timed(handed_over),
    }


def back_rows(found: dict[str, BackFigures]) -> Iterator[Row]:
    """The figures."""
    for name, figures in found.items():
        yield Row(name, "drawn", spread(figures.drawn))
        yield Row(name, "drawn, and back", spread(figures.both))
        yield Row(name, "  of drawing", both_ratios(figures.both, figures.drawn))
        yield Row(name, "derivatives handed over, too", spread(figures.handed_over))
        yield Row(name, "    of drawing", both_ratios(figures.handed_over, figures.drawn))
