"""Views that are held back from training: how well they are drawn, and how that looks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import Camera
from plenostream.engine.sight import tile_corners
from plenostream.export.photographs import side_by_side
from plenostream.export.picture_files import write_png
from plenostream.export.pixels import psnr
from plenostream.field.tiles import TILE
from plenostream.train.behind import Behind
from plenostream.train.photographs import Photographs
from plenostream.train.tiles import camera_tiles
from plenostream.train.walk import TILES_AT_ONCE, Walk

__all__ = ["HeldViews", "picture_of"]

_SHEET_ROWS = 8
"""Views of a contact sheet, at most."""


def picture_of(walk: Walk, camera: Camera, behind: Behind) -> NDArray[np.float32]:
    """What a camera sees of the rows as they are, [H, W, 3]."""
    corners = tile_corners(camera, 0, camera.height)
    parts = []
    for first in range(0, len(corners), TILES_AT_ONCE):
        tiles = camera_tiles(camera, corners[first : first + TILES_AT_ONCE])
        rgb, alpha = walk.draw(tiles)
        parts.append(rgb + behind.seen(tiles, 1.0 - alpha))
    rows, columns = -(-camera.height // TILE), -(-camera.width // TILE)
    tiled = np.concatenate(parts).reshape(rows, columns, TILE, TILE, 3).swapaxes(1, 2)
    whole = tiled.reshape(rows * TILE, columns * TILE, 3)
    return np.ascontiguousarray(whole[: camera.height, : camera.width])


class HeldViews:
    """Photographs that nothing was learnt from."""

    def __init__(self, photographs: Photographs) -> None:
        self._photographs = photographs

    def psnr(self, walk: Walk, behind: Behind, most: int | None = None) -> float:
        """Mean PSNR (dB) of all views, or of so many of them, evenly chosen."""
        n = len(self._photographs)
        chosen = range(n) if most is None or most >= n else [i * n // most for i in range(most)]
        found = []
        for number in chosen:
            camera = self._photographs.cameras[number]
            drawn = np.clip(picture_of(walk, camera, behind), 0.0, 1.0)
            found.append(psnr(drawn, np.clip(self._photographs.pixels(number), 0.0, 1.0)))
        return float(np.mean(found))

    def write_sheet(self, walk: Walk, behind: Behind, place: Path, *, overwrite: bool) -> None:
        """Write photographs, renderings and their differences (times 4), a row each, as a PNG."""
        n = len(self._photographs)
        chosen = sorted({i * n // _SHEET_ROWS for i in range(_SHEET_ROWS)})
        rows = []
        for number in chosen:
            camera = self._photographs.cameras[number]
            drawn = picture_of(walk, camera, behind)
            rows.append(side_by_side(self._photographs.pixels(number), drawn))
        width = max(row.shape[1] for row in rows)
        padded = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows]
        write_png(place, np.concatenate(padded), overwrite=overwrite)
