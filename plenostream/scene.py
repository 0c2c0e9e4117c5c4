"""An open scene, as a user of the library holds it."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from plenostream.field.grid import GridSpec
from plenostream.files.paths import PathLike, local_path, scene_name, scene_place
from plenostream.format.kept import kept_in
from plenostream.format.layout import SceneMeta
from plenostream.format.opening import open_store
from plenostream.format.reader import SceneStore
from plenostream.options import CACHE_SIZE
from plenostream.process.closing import Closing
from plenostream.rules.bytesize import parse_bytes

__all__ = ["Scene", "ScenePlace", "keep_read", "open_scene"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenePlace:
    """Where a scene is, and where what is read of it is kept: arguments of `open_scene`, for any
    process that sees the same files."""

    path: str = field(repr=False)
    """Absolute path or URL, which may hold secrets."""
    cache: str | None = None
    """Absolute path."""
    cache_size: int | str = "20GB"


class Scene(Closing):
    """An open scene, as `open_scene` gives it; a context manager.

    Opening it read its tables, or where its bricks are if they are very many, and no row. Reading is safe
    from several threads at once.
    """

    def __init__(self, store: SceneStore, place: ScenePlace) -> None:
        self.store = store
        """The arrays and tables, for those who want to look inside."""
        self.place = place
        """Where it was opened."""

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.grid.size))
        stored = f"{self.meta.n_voxels:,} stored in {self.meta.n_bricks:,} bricks"
        return f"<Scene {scene_name(self.place.path)}: {size} voxels, {stored}>"

    @property
    def meta(self) -> SceneMeta:
        """What the scene says about itself: sizes, counts, types, source."""
        return self.store.meta

    @property
    def grid(self) -> GridSpec:
        """Shape of the voxel grid (voxels) and its place in the world (world units)."""
        return self.store.meta.grid

    def close(self) -> None:
        """Give back the files, when the pictures in hand are drawn; later ones are refused.

        Raises
        ------
        InvalidInput : called in the middle of a picture, by the thread that draws it.
        """
        self.store.close()


def open_scene(
    path: PathLike, *, cache: PathLike | None = None, cache_size: int | str = "20GB"
) -> Scene:
    """Open the scene at `path`: a folder, a zip file of a folder's content, or the URL of a folder.

    URLs are those of object stores (``s3://``, ``gs://``, ``az://``), of web servers (``https://``),
    and all that fsspec knows, such as ``zip::https://...``; they take the extra ``remote``.

    Parameters
    ----------
    cache : folder in which what was read of a scene at a URL is kept for the next time; several
        processes may share it
    cache_size : bytes that it may take, such as "20GB"; what was used longest ago makes room

    Raises
    ------
    InvalidInput : no path, a URL whose library is not installed, or no number of bytes.
    OutputError : the cache cannot be made.
    StoreNotFound : nothing there. StoreFormat : not a complete scene of a known version.
    BrickCorrupt : one of its tables is damaged.
    """
    store = open_store(path, cache=cache, cache_bytes=_cache_bytes(cache_size))
    kept = None if cache is None else os.path.abspath(local_path(cache, what="cache"))
    return Scene(store, ScenePlace(path=scene_place(path), cache=kept, cache_size=cache_size))


def keep_read(cache: PathLike, *, cache_size: int | str = "20GB") -> AbstractContextManager[None]:
    """A `with` in which functions that read scenes at URLs, such as edits and exports, keep what they
    read in a folder; arguments as of `open_scene`.

    Raises
    ------
    InvalidInput : no number of bytes.
    """
    return kept_in(cache, cache_bytes=_cache_bytes(cache_size))


def _cache_bytes(cache_size: int | str) -> int:
    return parse_bytes(CACHE_SIZE.check("cache_size", cache_size), name="cache_size")
