"""`add_levels`: a scene with coarser levels stored beside it."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace

from plenostream import __version__
from plenostream.edits.copying import copied_chunks, copying_bytes
from plenostream.edits.origins import checked_options
from plenostream.files.paths import PathLike, apart_from, scene_place
from plenostream.format.digests import sections_of
from plenostream.format.layout import TABLES, SceneMeta
from plenostream.format.opening import open_store
from plenostream.format.reader import SceneStore
from plenostream.format.remote_staging import open_staging
from plenostream.importers.levels.make import finish_scene, levels_asked
from plenostream.importers.packing.report import ConvertReport
from plenostream.importers.packing.steps import published
from plenostream.options import ConvertOptions, EditOptions
from plenostream.results import Progress

__all__ = ["add_levels"]


def add_levels(
    scene: PathLike,
    target: PathLike,
    options: EditOptions | None = None,
    *,
    levels: int | str = "auto",
    progress: Progress | None = None,
) -> ConvertReport:
    """Write a scene as it is, with coarser levels stored beside it: what `convert` with
    `ConvertOptions.levels` makes, of any scene. Levels that it has are made anew.

    Raises
    ------
    InvalidInput : `levels` is against its rule, or more than the grid can be halved.
    StoreNotFound, StoreFormat, BrickCorrupt, StoreExists, StoreError, OutputError, BudgetError : as
    for `crop`.
    """
    began = time.perf_counter()
    options = checked_options(options)
    path = scene_place(scene)
    apart_from([scene_place(target)], {"scene": path})
    tell: Progress = progress or (lambda step, done, total: None)
    staging = open_staging(target, overwrite=options.overwrite)
    with ExitStack() as files:
        store = files.enter_context(open_store(path))
        meta, codec = _without_levels(store), store.codec
        how = ConvertOptions(
            levels=levels,
            codec="lz4" if codec == "lz4" else "zstd",
            host_memory=options.host_memory,
            workers=options.workers,
        )
        journal = {
            "writer": __version__,
            "levels": levels_asked(meta, staging.scene, how),
            "scene": meta.tables_digest,
        }
        with staging.begin(journal, resume=options.resume):
            for _ in copied_chunks(store, staging.scene, tell):
                pass  # as it is
            taken = store.tables.nbytes + copying_bytes(store.meta)
            # Its tables are let go of: levels are made within all the memory that is allowed.
            files.close()
            del store
            meta, level_bytes = finish_scene(staging.folder, staging.scene, meta, how, tell)
            return published(
                staging,
                meta,
                codec=codec,
                began=began,
                planned_bytes=max(taken, level_bytes),
                spill_bytes=0,
                density_change=meta.density_rounding,
            )


def _without_levels(store: SceneStore) -> SceneMeta:
    """What a scene says about itself when it has no levels, and tables that are read in parts."""
    tables = {f"bricks/{name}": getattr(store.tables, name) for name in TABLES}
    sections = sections_of(tables, store.specs["bricks/mask"].chunk_shape[0])
    return replace(store.meta, levels=(), table_sections=sections)
