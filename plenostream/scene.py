"""The library: convert a checkpoint, open a scene, render it."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import TracebackType
from typing import Self

from plenostream.field.grid import GridSpec
from plenostream.format.layout import SceneMeta
from plenostream.format.reader import SceneStore, open_store
from plenostream.importers.svox2.convert import convert as _convert
from plenostream.importers.svox2.report import ConvertReport
from plenostream.options import Codec, ConvertOptions, StoreDtype

__all__ = ["Scene", "convert", "open_scene"]


class Scene:
    """An open scene; a context manager. Opening it read its tables, and no row."""

    def __init__(self, store: SceneStore) -> None:
        self.store = store
        """The arrays and tables, for those who want to look inside."""

    @property
    def meta(self) -> SceneMeta:
        """What the scene says about itself: sizes, counts, types, source."""
        return self.store.meta

    @property
    def grid(self) -> GridSpec:
        """Shape of the voxel grid and its place in the world."""
        return self.store.meta.grid

    def close(self) -> None:
        """Give back the files, when the pictures in hand are drawn; later ones are refused."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_scene(path: str | os.PathLike[str]) -> Scene:
    """Open the scene at `path`: a folder, or a zip file of a folder's content.

    Raises
    ------
    StoreNotFound : nothing there. StoreFormat : not a complete scene of a known version.
    BrickCorrupt : one of its tables is damaged.
    """
    return Scene(open_store(path))


def convert(
    source: str | os.PathLike[str],
    scene: str | os.PathLike[str],
    *,
    brick_size: int = ConvertOptions().brick_size,
    dtype: StoreDtype = ConvertOptions().dtype,
    codec: Codec = ConvertOptions().codec,
    host_memory: int | str = ConvertOptions().host_memory,
    workers: int | None = ConvertOptions().workers,
    overwrite: bool = ConvertOptions().overwrite,
    resume: bool = ConvertOptions().resume,
    progress: Callable[[str, int, int], None] | None = None,
) -> ConvertReport:
    """Turn a svox2 checkpoint (``.npz``) into a scene; the options are those of `ConvertOptions`.

    Parameters
    ----------
    progress : called with (what is being done, steps done, steps in all)

    Raises
    ------
    CheckpointError : broken, hostile, or of a kind that a scene cannot hold. StoreExists : the
    target exists, and `overwrite` is false. BudgetError : `host_memory` is too small.
    """
    options = ConvertOptions(
        brick_size=brick_size,
        dtype=dtype,
        codec=codec,
        host_memory=host_memory,
        workers=workers,
        overwrite=overwrite,
        resume=resume,
    )
    return _convert(source, scene, options, progress=progress)
