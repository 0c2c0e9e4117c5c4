"""`add_levels`: a scene with coarser levels stored beside it."""

from __future__ import annotations

import time
from dataclasses import replace

from plenostream import __version__
from plenostream.edits.copying import copied_chunks, copying_bytes
from plenostream.edits.origins import checked_options
from plenostream.files.paths import PathLike, apart_from, scene_place
from plenostream.format.digests import sections_of
from plenostream.format.layout import TABLES
from plenostream.format.opening import open_store
from plenostream.format.remote_staging import open_staging
from plenostream.importers.levels.make import finish_scene, levels_asked
from plenostream.importers.packing.report import ConvertReport
from plenostream.importers.packing.steps import published
from plenostream.options import Codec, ConvertOptions, EditOptions
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
    with open_store(path) as store:
        tables = {f"bricks/{name}": getattr(store.tables, name) for name in TABLES}
        sections = sections_of(tables, store.specs["bricks/mask"].chunk_shape[0])
        meta = replace(store.meta, levels=(), table_sections=sections)
        codec: Codec = "lz4" if store.codec == "lz4" else "zstd"
        how = ConvertOptions(
            levels=levels,
            codec=codec,
            host_memory=options.host_memory,
            workers=options.workers,
        )
        journal = {
            "writer": __version__,
            "levels": levels_asked(meta.grid.size, how.levels),
            "scene": meta.tables_digest,
        }
        with staging.begin(journal, resume=options.resume):
            for _ in copied_chunks(store, staging.scene, tell):
                pass  # as it is
            meta, level_bytes = finish_scene(staging.folder, staging.scene, meta, how, tell)
            return published(
                staging,
                meta,
                codec=codec,
                began=began,
                planned_bytes=store.tables.nbytes + max(copying_bytes(store.meta), level_bytes),
                spill_bytes=0,
                density_change=meta.density_rounding,
            )
