"""Rays that go back: what a loss of their colours says of the rows of a scene.

Each lot of rays is drawn on black and handed on with what lies behind it, as any other; then the
loss says what it makes of it, and the same lot goes through its waves again, see
`Integrator.begin_back`. Derivatives stay in the pool until a brick leaves it, or `collect`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from plenostream.engine.frame import Frame
from plenostream.engine.opening import open_session
from plenostream.engine.planner import Layout
from plenostream.engine.session import Lot, Session
from plenostream.errors import InvalidInput
from plenostream.field.background import BackgroundLayers
from plenostream.field.background_back import see_layers_back
from plenostream.field.finished import Finished
from plenostream.field.tiles import TILE_RAYS
from plenostream.format.reader import SceneStore
from plenostream.integrator.interface import LossByRays, RaySource, RowDerivatives
from plenostream.options import RenderOptions, StreamOptions

__all__ = ["Keep", "RayLoss", "WayBack", "loss_of_rays", "open_back_session"]

_LEAST_ROWS = 1 << 15
"""Rows whose derivatives are handed over at a time, unless a single brick has more."""
_BACK_RAY, _TILES_AT_ONCE, _LAYERS_RAY = 80, 64, 2048
"""Bytes of a ray that goes back: what it saw, with and without what lies behind it, and what the loss
makes of it; and bytes of those of a part that go back through layers."""


class RayLoss(NamedTuple):
    """What a loss makes of t tiles of rays."""

    by_rgb: NDArray[np.float32]
    """[t, 64, 3]: its derivative by their colours, with what lies behind them."""
    by_alpha: NDArray[np.float32] | None = None
    """[t, 64]: its derivative by their alpha, beside what the colours behind it make of that."""


Loss = Callable[[Lot, NDArray[np.float32], NDArray[np.float32]], RayLoss]
"""Takes the colours [t, 64, 3] of a lot with what lies behind it, and its alpha [t, 64] without."""

Keep = Callable[[NDArray[np.int64], RowDerivatives], None]
"""Takes bricks [b] and the derivatives by their rows, brick by brick: valid until it returns. A brick
may come more than once: what counts is the sum. Voxels in several bricks have a row in each."""

LossOfRays = Callable[
    [NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]],
    tuple[NDArray[np.float32], NDArray[np.float32] | None],
]
"""Takes numbers [m] of rays, their colours [m, 3] and alpha [m]; gives the loss's derivatives [m, 3] by
the colours, and [m] by alpha, see `RayLoss`."""


def loss_of_rays(loss: LossOfRays) -> Loss:
    """`loss` of the rays that a `RaysJob` was given, by their numbers."""

    def of_tiles(lot: Lot, rgb: NDArray[np.float32], alpha: NDArray[np.float32]) -> RayLoss:
        assert lot.members is not None
        n, by_rgb, by_alpha = len(lot.members), np.zeros_like(rgb), np.zeros_like(alpha)
        found = loss(lot.members, rgb.reshape(-1, 3)[:n], alpha.reshape(-1)[:n])
        by_rgb.reshape(-1, 3)[:n] = found[0]
        if found[1] is not None:
            by_alpha.reshape(-1)[:n] = found[1]
        return RayLoss(by_rgb, by_alpha)

    return of_tiles


def rows_at_once(store: SceneStore) -> int:
    """Rows of the derivatives that are handed over at a time, at most."""
    return max(_LEAST_ROWS, int(np.diff(store.tables.row_start).max(initial=0)))


def open_back_session(
    store: SceneStore, options: RenderOptions, stream: StreamOptions, *, held_bytes: int = 0
) -> Session:
    """A session for `WayBack`; its caller holds so many bytes of the host.

    Raises as `open_session` does; and InvalidInput where nothing can be differentiated.
    """
    buffer = rows_at_once(store) * (1 + store.meta.sh_columns) * 4
    if store.root.meta.background is not None:
        buffer += _TILES_AT_ONCE * TILE_RAYS * _LAYERS_RAY
    session, *_ = open_session(
        store,
        options,
        stream,
        differentiate=True,
        leaving_bytes=buffer + held_bytes,
        back_ray_bytes=_BACK_RAY,
    )
    return session


def _room(n_tiles: int, n_aovs: int) -> Finished:
    """Room for what tiles see."""
    plane = (n_tiles, TILE_RAYS)
    return Finished(
        tile=np.arange(n_tiles),
        rgb=np.zeros((*plane, 3), np.float32),
        depth=np.zeros(plane, np.float32),
        alpha=np.zeros(plane, np.float32),
        aovs=np.zeros((*plane, n_aovs), np.float32),
    )


def _put(room: Finished, some: Finished) -> None:
    room.rgb[some.tile], room.depth[some.tile] = some.rgb, some.depth
    room.alpha[some.tile], room.aovs[some.tile] = some.alpha, some.aovs


class WayBack:
    """Turns lots of a session into such that go back, and hands over what that says of the rows."""

    def __init__(
        self,
        session: Session,
        loss: Loss,
        keep: Keep,
        *,
        sparsity: float = 0.0,
        by_texels: NDArray[np.float32] | None = None,
    ) -> None:
        """Take a session of `open_back_session`.

        Parameters
        ----------
        sparsity : see `LossByRays`
        by_texels : of the shape of `BackgroundLayers.texels`: gets the derivatives by these added
        """
        self._session, self._loss, self._keep = session, loss, keep
        self._sparsity, self._by_texels = sparsity, by_texels
        tables, columns = session.store.tables, session.store.meta.sh_columns
        self._n_rows = np.diff(tables.row_start)
        self._went_back = np.zeros(len(self._n_rows), bool)
        self._room = RowDerivatives.zeros(rows_at_once(session.store), columns)
        session.leaving = self._take

    def turn(self, lot: Lot) -> Lot:
        """The same lot, such that it goes back once it is drawn."""
        drawn = _room(lot.rays.n_tiles, self._session.aovs.n_columns)

        def go_back(frame: Frame, layout: Layout) -> None:
            self._go_back(lot, drawn, frame, layout)

        black = np.zeros(3, np.float32)
        return replace(lot, behind=black, place=partial(_put, drawn), then=go_back)

    def collect(self) -> None:
        """Hand over the derivatives of all bricks in the pool that have some."""
        self._take(*self._session.resident())
        # Not as one leaves: before its turn it may leave, and come back to be met.
        self._went_back[:] = False

    def _go_back(self, lot: Lot, drawn: Finished, frame: Frame, layout: Layout) -> None:
        session, seen = self._session, _room(len(drawn.tile), drawn.aovs.shape[2])
        place, colour = session.behind(lot.rays, partial(_put, seen), layout.host.background_bytes)
        place(replace(drawn, rgb=drawn.rgb + (1.0 - drawn.alpha[..., None]) * colour))
        lot.place(seen)
        by_rgb, by_alpha = self._loss(lot, seen.rgb, drawn.alpha)
        by_alpha = np.zeros_like(drawn.alpha) if by_alpha is None else by_alpha
        backdrop = session.backdrop(layout.host.background_bytes)
        if backdrop is None:
            by_alpha = by_alpha - by_rgb @ colour
        else:
            if not backdrop.texels.is_whole:
                raise InvalidInput(
                    "the background's layers do not fit into host memory as a whole, which going back "
                    "through them needs; allow more with host_memory"
                )
            by_alpha = by_alpha + self._back_through(
                backdrop.texels.layers, lot.rays, drawn.alpha, by_rgb
            )
        loss = LossByRays(
            rgb=drawn.rgb,
            alpha=drawn.alpha,
            by_rgb=np.ascontiguousarray(by_rgb, np.float32),
            by_alpha=np.ascontiguousarray(by_alpha, np.float32),
            sparsity=self._sparsity,
        )
        session.integrator.begin_back(lot.rays, layout.sizes.n_tiles, loss)
        for view in lot.views():
            self._went_back[view.bricks] = True
            frame.draw(view)
        session.integrator.report()()  # what still waited would be dropped

    def _back_through(
        self,
        layers: BackgroundLayers,
        rays: RaySource,
        alpha: NDArray[np.float32],
        by_rgb: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Derivative by alpha [t, 64] of what lies behind the volume; adds those by texels."""
        by_alpha = np.zeros(alpha.size, np.float32)
        behind = np.array(self._session.options.background_rgb)
        for first in range(0, len(alpha), _TILES_AT_ONCE):
            part = slice(first, first + _TILES_AT_ONCE)
            origins, directions, valid = rays.make(
                np, *(array[part] for array in rays.per_tile), *rays.shared
            )
            trans = 1.0 - alpha[part].reshape(-1).astype(np.float64)
            some = np.flatnonzero((trans > 0.0) & valid)
            by_trans = see_layers_back(
                layers,
                origins[:, some],
                directions[:, some],
                trans[some],
                by_rgb[part].reshape(-1, 3)[some].astype(np.float64),
                behind=behind,
                by_texels=self._by_texels,
            )
            by_alpha[first * TILE_RAYS + some] = -by_trans
        return by_alpha.reshape(alpha.shape)

    def _take(self, bricks: NDArray[np.int64], slots: NDArray[np.int32]) -> None:
        """Hand over the derivatives of bricks [b] in these slots, as far as rays may have met them."""
        mine = self._went_back[bricks]
        bricks, slots = bricks[mine], slots[mine]
        for part in self._parts(bricks):
            n = int(self._n_rows[bricks[part]].sum())
            room = self._room.rows(0, n)
            self._keep(bricks[part], self._session.integrator.derivatives(slots[part], room))

    def _parts(self, bricks: NDArray[np.int64]) -> Iterator[slice]:
        """Bricks whose rows there is room for, together."""
        ends = np.cumsum(self._n_rows[bricks])
        start = 0
        while start < len(bricks):
            done = ends[start - 1] if start else 0
            stop = int(np.searchsorted(ends, done + len(self._room.density), "right"))
            yield slice(start, stop)
            start = stop
