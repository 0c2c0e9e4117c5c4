"""Photographs of a data set in memory, and tiles of them to learn from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import xxhash
from numpy.typing import NDArray

from plenostream.cameras import Camera, PicturedCamera, require_pictures
from plenostream.errors import InvalidInput
from plenostream.export.frame_sizes import found_size, holds_levels
from plenostream.export.photographs import read_cut_out
from plenostream.field.tiles import TILE, TILE_RAYS
from plenostream.results import Progress
from plenostream.rules import require_kind
from plenostream.train.tiles import RayTiles, camera_tiles

__all__ = ["Batch", "Photographs", "checked_views", "kept_pixels"]

_LEVELS = 255
"""Of 8 bits: what most photographs hold."""
_MOST = np.float32(np.finfo(np.float16).max)
_SPARSE_CAMERAS = 4096
"""Cameras of every so many pixels that are kept."""
_ROUNDING = 1e-5
"""By which values may miss one of 8 bits, in float32."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Tiles of photographs."""

    tiles: RayTiles
    rgb: NDArray[np.float32]
    """[t, 64, 3]: what they show, over the background."""
    photograph: NDArray[np.int64]
    """[t]: which photograph each is of."""


class Photographs:
    """The photographs of views, laid over a background where they have alpha."""

    def __init__(
        self, views: Sequence[PicturedCamera], background: tuple[float, float, float]
    ) -> None:
        """See `read`."""
        self._views, self._background = views, background
        self.cameras: list[Camera] = []
        """Each view's, at the size of its photograph."""
        self.cut_out: list[bool] = []
        """Whether each has alpha below 1 somewhere."""
        self.levels: list[bool] = []
        """Whether the file of each has 8 bits a channel, and so nothing brighter than 1."""
        self._pixels: list[NDArray[np.uint8] | NDArray[np.float16]] = []
        # A camera is checked as it is made, which takes longer than the rays of its tiles.
        self._sparse = lru_cache(maxsize=_SPARSE_CAMERAS)(self._every)

    @classmethod
    def read(
        cls,
        views: Sequence[PicturedCamera],
        background: tuple[float, float, float],
        tell: Progress,
    ) -> Photographs:
        """Those of `views`, 8 bits where they hold no more, else float16.

        Raises
        ------
        InvalidInput : no views; one without a photograph, or with one that cannot be read, or that has
            another shape than its camera.
        """
        if not views:
            raise InvalidInput(
                "there are no views to learn from; name some, or hold fewer back (held)"
            )
        require_pictures(views, "the cameras")
        read = cls(views, background)
        for number, view in enumerate(views):
            assert view.picture is not None
            picture, opacity = read_cut_out(view.picture)
            if opacity is not None:
                picture = picture + (1 - opacity[..., None]) * np.array(background, np.float32)
            height, width = picture.shape[:2]
            read.cameras.append(view.at_size(width, height))
            read.cut_out.append(opacity is not None and bool((opacity < 1.0).any()))
            read._pixels.append(_kept(picture))
            read.levels.append(read._pixels[-1].dtype == np.uint8)
            tell("photographs", number + 1, len(views))
        return read

    def reduced(self, factor: int) -> Photographs:
        """The same with so many times fewer pixels along each edge, means of those that there were.

        What does not fill a pixel at the right and the bottom is left out.
        """
        if factor == 1:
            return self
        smaller = Photographs(self._views, self._background)
        smaller.cut_out, smaller.levels = self.cut_out, self.levels
        for camera, pixels in zip(self.cameras, self._pixels, strict=True):
            width, height = (max(edge // factor, 1) for edge in (camera.width, camera.height))
            across, down = (min(factor, edge) for edge in (camera.width, camera.height))
            part = camera.region(0, 0, across * width, down * height)
            smaller.cameras.append(part.resized(width, height))
            values = _values(pixels[: down * height, : across * width])
            means = values.reshape(height, down, width, across, 3).mean((1, 3), dtype=np.float32)
            smaller._pixels.append(means.astype(np.float16))
        return smaller

    @property
    def largest_edge(self) -> int:
        """Pixels along the longest edge of all photographs."""
        return max(max(camera.width, camera.height) for camera in self.cameras)

    def __len__(self) -> int:
        return len(self.cameras)

    @property
    def names(self) -> list[str]:
        """Of the views."""
        return [view.name or f"view {view.number}" for view in self._views]

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels."""
        return sum(pixels.nbytes for pixels in self._pixels)

    def digest(self) -> str:
        """xxh3-64 of all pixels and cameras, 16 hexadecimal digits."""
        digest = xxhash.xxh3_64()
        for camera, pixels in zip(self.cameras, self._pixels, strict=True):
            digest.update(camera.c2w.tobytes())
            digest.update(camera.intrinsics.tobytes())
            digest.update(repr(camera.lens).encode())
            digest.update(pixels.tobytes())
        return digest.hexdigest()

    def pixels(self, number: int) -> NDArray[np.float32]:
        """A photograph [H, W, 3], 0 to 1."""
        return _values(self._pixels[number])

    def batch(self, rng: np.random.Generator, n_tiles: int, n_views: int, spacing: int) -> Batch:
        """`n_tiles` tiles at random places of `n_views` random photographs, in equal shares; of every
        `spacing`-th pixel along both axes."""
        chosen = rng.integers(len(self), size=n_views)
        parts, colours = [], []
        for number, share in zip(chosen.tolist(), _shares(n_tiles, n_views), strict=True):
            camera, pixels = self.cameras[number], self._pixels[number]
            first = tuple(int(rng.integers(min(spacing, n))) for n in (camera.width, camera.height))
            sparse = self._sparse(number, spacing, first)
            corners = _corners(rng, sparse, share)
            parts.append(camera_tiles(sparse, corners))
            column = corners[:, :1] + np.arange(TILE_RAYS) % TILE
            row = corners[:, 1:] + np.arange(TILE_RAYS) // TILE
            column, row = (
                np.minimum(place, edge - 1) * spacing + offset
                for place, edge, offset in zip(
                    (column, row), (sparse.width, sparse.height), first, strict=True
                )
            )
            colours.append(_values(pixels[row, column]))
        return Batch(
            tiles=RayTiles.joined(parts),
            rgb=np.concatenate(colours),
            photograph=np.repeat(chosen, _shares(n_tiles, n_views)),
        )

    def _every(self, number: int, spacing: int, first: tuple[int, ...]) -> Camera:
        """The camera that sees every `spacing`-th pixel of another, from `first` (column, row) on."""
        camera = self.cameras[number]
        if spacing == 1:
            return camera
        left, top = first
        return replace(
            camera,
            fx=camera.fx / spacing,
            fy=camera.fy / spacing,
            cx=(camera.cx - left - 0.5) / spacing + 0.5,
            cy=(camera.cy - top - 0.5) / spacing + 0.5,
            width=-(-(camera.width - left) // spacing),
            height=-(-(camera.height - top) // spacing),
        )


def checked_views(name: str, views: Iterable[PicturedCamera]) -> list[PicturedCamera]:
    """Views that were given as the argument `name`; raises InvalidInput for anything else."""
    require_kind(name, views, Iterable, "cameras with photographs, such as load_pictured gives")
    found = list(views)
    for number, view in enumerate(found):
        what = "a PicturedCamera, such as load_pictured gives"
        require_kind(f"{name}[{number}]", view, PicturedCamera, what)
    return found


def kept_pixels(views: Sequence[PicturedCamera]) -> tuple[int, int]:
    """Bytes that `Photographs.read` keeps of views at most, and pixels of the largest, by the headers of
    the files; those that are no pictures are left to `read`."""
    n_bytes = largest = 0
    for view in views:
        size = None if view.picture is None else found_size(view.picture)
        if view.picture is not None and size is not None:
            pixels = size[0] * size[1]
            n_bytes += pixels * 3 * (1 if holds_levels(view.picture) else 2)
            largest = max(largest, pixels)
    return n_bytes, largest


def _kept(picture: NDArray[np.float32]) -> NDArray[np.uint8] | NDArray[np.float16]:
    levels = np.rint(picture * _LEVELS)
    whole = np.abs(levels - picture * _LEVELS).max(initial=0.0) <= _ROUNDING * _LEVELS
    if whole and levels.min(initial=0) >= 0 and levels.max(initial=0) <= _LEVELS:
        return levels.astype(np.uint8)
    # Light that float16 does not hold would make the loss infinite.
    return np.clip(picture, -_MOST, _MOST).astype(np.float16)


def _values(pixels: NDArray[np.uint8] | NDArray[np.float16]) -> NDArray[np.float32]:
    values = pixels.astype(np.float32)
    return values / np.float32(_LEVELS) if pixels.dtype == np.uint8 else values


def _shares(n: int, n_parts: int) -> list[int]:
    ends = [n * part // n_parts for part in range(n_parts + 1)]
    return [end - start for start, end in zip(ends, ends[1:], strict=False)]


def _corners(rng: np.random.Generator, camera: Camera, n: int) -> NDArray[np.int32]:
    """First pixels [n, 2] of tiles; those that would reach beyond an edge are moved inside, so that
    the pixels along it are drawn as often as others."""
    corners = [
        np.clip(rng.integers(1 - TILE, edge, size=n), 0, max(edge - TILE, 0))
        for edge in (camera.width, camera.height)
    ]
    return np.stack(corners, -1).astype(np.int32)
