"""Pictures that are drawn to learn what the voxels of a scene are worth in them."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import Camera
from plenostream.engine.opening import open_session
from plenostream.engine.ray_picture import picture_job
from plenostream.engine.row_weights import RowWeights
from plenostream.format.reader import SceneStore
from plenostream.options import RenderOptions, StreamOptions
from plenostream.process.closing import Closing

__all__ = ["Weighing"]


class Weighing(Closing):
    """Draws a scene, resident or streamed, and keeps the largest weight of each row; a context manager.

    The same pictures give the same weights, to the last bit, for any threads and any division into
    waves. Source: svox2's `grid_weight_render`, but for its own threshold at which a ray ends.
    """

    def __init__(
        self, store: SceneStore, options: RenderOptions, stream: StreamOptions, file: BinaryIO
    ) -> None:
        """Keep the weights in an empty `file`; allocates nothing on the device.

        Raises
        ------
        DeviceError : the backend keeps no weights. Else as `Renderer`.
        """
        self._store = store
        self._weights = RowWeights(store.meta, store.tables, file)
        self._session, *_ = open_session(store, options, stream, self._weights)

    def draw(self, camera: Camera) -> NDArray[np.float32]:
        """Weigh what a camera sees; its picture [height, width, 3].

        Raises
        ------
        BudgetError : it does not fit. BrickCorrupt : a brick that it needs is damaged.
        DeviceError : the device failed.
        """
        with self._store.in_use():
            pixels, _ = picture_job(self._session, camera).draw()
        return pixels.rgb

    def weights(self) -> RowWeights:
        """Those of all pictures so far."""
        self._session.let_go()
        return self._weights

    def close(self) -> None:
        """Give back the device and the threads; the file stays open."""
        self._session.close()
