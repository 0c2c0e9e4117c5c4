"""The session of a scene or level; of one with very many bricks, that of those in view.

Planning, maps and tables of an integrator take something for each brick that they know of, seen or
not. So of a scene whose tables come in sections, a session knows the bricks of the districts that a
camera sees, and another one takes its place where the camera sees others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import Camera
from plenostream.engine.opening import open_session
from plenostream.engine.row_weights import RowWeights
from plenostream.engine.session import Session
from plenostream.engine.sight import screen_of
from plenostream.format.excerpts import excerpt_of
from plenostream.format.reader import SceneStore
from plenostream.options import RenderOptions, StreamOptions
from plenostream.plan import Districts, bricks_drawn
from plenostream.results import PoolUse

__all__ = ["Cut", "SceneSessions"]

_LARGER = 4
"""A session is kept for views of fewer districts, down to one in so many of its own."""
_FEW = 64
"""Districts more than that which make no difference."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cut:
    """Which bricks of a level a picture is drawn from, see `plan.cut`."""

    level: int
    eye_grid: NDArray[np.float64]
    """[3]: grid coordinates of level 0."""
    voxel_edges: NDArray[np.float64]
    """[3]: world units, of level 0."""
    reach: NDArray[np.float64]
    """[levels]: world units."""

    def takes(self, index: NDArray[np.int32], brick_size: int) -> NDArray[np.bool_]:
        """Which bricks [n, 3] of the level."""
        return bricks_drawn(
            index,
            self.level,
            brick_size=brick_size,
            eye_grid=self.eye_grid,
            voxel_edges=self.voxel_edges,
            reach=self.reach,
        )

    def may_take(self, districts: Districts) -> NDArray[np.bool_]:
        """Which districts of the level may have such bricks."""
        coarser = self.level + 1
        return districts.nearer(
            self.reach[coarser] if coarser < len(self.reach) else np.inf,
            level=self.level,
            eye_grid=self.eye_grid,
            voxel_edges=self.voxel_edges,
        )


class SceneSessions:
    """Opens sessions as pictures need them; there is one at a time, `current`."""

    def __init__(
        self,
        store: SceneStore,
        options: RenderOptions,
        stream: StreamOptions,
        weights: RowWeights | None = None,
    ) -> None:
        """Allocates nothing on the device; raises as `open_session`. Weights are kept of whole scenes."""
        self.store = store
        self._options, self._stream, self._weights = options, stream, weights
        self._districts: Districts | None = None
        self._read_before = 0
        self.current: Session
        if not store.has_sections or weights is not None:
            self._open(store)
            return
        self._districts = Districts(store.places.index, store.places.occupied, store.meta.bricks)
        self._shown = self._districts.none()
        self._open(excerpt_of(store, np.empty(0, np.int64)))

    def seeing(self, camera: Camera, *, cut: Cut | None = None) -> Session:
        """The session for a camera's picture, or for the bricks of a level that the `cut` may take.

        Raises
        ------
        BrickCorrupt : a section of the tables is damaged. Else as `open_session`.
        """
        districts = self._districts
        if districts is None:
            return self.current
        n, grid = self._options.samples, self.store.meta.grid
        if n > 1:
            camera = camera.resized(n * camera.width, n * camera.height)
        seen = districts.seen(screen_of(grid, camera, top=0, bottom=camera.height))
        if cut is not None:
            seen &= cut.may_take(districts)
        n_shown = int(self._shown.sum())
        is_larger = n_shown > _LARGER * int(seen.sum()) + _FEW
        if self._is_closed or is_larger or (seen & ~self._shown).any():
            if n_shown and not is_larger:
                # The camera moves: where it was, and where it may look next.
                seen = districts.around(seen) | self._shown
            self._replace(excerpt_of(self.store, districts.bricks(seen)))
            self._shown = seen
        return self.current

    def whole(self) -> Session:
        """A session for any rays: that of all bricks, from then on for cameras, too."""
        if self._districts is not None:
            self._replace(self.store)
            self._districts = None
        return self.current

    @property
    def use(self) -> PoolUse:
        """See `Renderer.use`."""
        use = self.current.use
        return replace(use, bytes_read=use.bytes_read + self._read_before)

    def interrupt(self) -> None:
        """See `Session.interrupt`."""
        self.current.interrupt()

    def close(self) -> None:
        """Give back what the session holds."""
        self.current.close()

    def _open(self, store: SceneStore) -> None:
        opened = open_session(store, self._options, self._stream, self._weights)
        self.current, self.precision, self.backend = opened
        self._is_closed = False

    def _replace(self, store: SceneStore) -> None:
        """Have another session take the place of the current one, which gives back what it holds first."""
        if not self._is_closed:
            self._read_before += self.current.use.bytes_read
            self.current.close()
            self._is_closed = True
        self._open(store)
