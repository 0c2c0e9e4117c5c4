"""An open scene, as a user of the library holds it."""

from __future__ import annotations

import os

from plenostream.field.grid import GridSpec
from plenostream.format.layout import SceneMeta
from plenostream.format.reader import SceneStore, open_store
from plenostream.process.closing import Closing

__all__ = ["Scene", "open_scene"]


class Scene(Closing):
    """An open scene, as `open_scene` gives it; a context manager.

    Opening it read its tables, and no row. Reading is safe from several threads at once.
    """

    def __init__(self, store: SceneStore) -> None:
        self.store = store
        """The arrays and tables, for those who want to look inside."""

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


def open_scene(path: str | os.PathLike[str]) -> Scene:
    """Open the scene at `path`: a folder, or a zip file of a folder's content.

    Raises
    ------
    InvalidInput : no path, a URL.
    StoreNotFound : nothing there. StoreFormat : not a complete scene of a known version.
    BrickCorrupt : one of its tables is damaged.
    """
    return Scene(open_store(path))
