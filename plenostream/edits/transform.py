"""`transform`: a scene somewhere else in the world, or of another size there."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from plenostream import __version__
from plenostream.edits.copying import copied_chunks, copying_bytes
from plenostream.edits.origins import checked_options, new_history, open_origin
from plenostream.errors import InvalidInput
from plenostream.field.grid import GridSpec
from plenostream.field.precision import density_rounding, density_unit
from plenostream.files.paths import PathLike
from plenostream.format.opening import open_store
from plenostream.format.remote_staging import open_staging
from plenostream.importers.packing.report import ConvertReport
from plenostream.importers.packing.steps import published
from plenostream.options import FRAME_CENTER, FRAME_RADIUS, EditOptions
from plenostream.results import Progress

__all__ = ["transform"]


def transform(
    scene: PathLike,
    target: PathLike,
    options: EditOptions | None = None,
    *,
    radius: Any = None,
    center: Any = None,
    progress: Progress | None = None,
) -> ConvertReport:
    """Write a scene with another `radius` or `center` (world units) of its volume; None: as it is.

    Nothing else changes: densities stay what they are per world unit, so a scene that becomes twice
    as large lets less light through. Background layers go with the volume, and a learned basis stays
    that of directions in the world. Memory: a few chunks, and the tables. `options.resume` has
    nothing to go on with.

    Raises
    ------
    InvalidInput : neither is given, or one is against its rule; a scene in normalised device
        coordinates.
    StoreNotFound, StoreFormat, BrickCorrupt, StoreExists, StoreError, OutputError : as for `crop`.
    """
    began = time.perf_counter()
    options = checked_options(options)
    if radius is None and center is None:
        raise InvalidInput("neither radius nor center is given; expected one of them or both")
    origin = open_origin(scene, target)
    old = origin.meta.grid
    if origin.meta.ndc is not None:
        raise InvalidInput(
            f"{origin.shown} lies in normalised device coordinates, whose places are "
            "none of the world: a frame that is moved there is bent in the world, not moved"
        )
    grid = replace(
        old,
        radius=old.radius if radius is None else FRAME_RADIUS.check("radius", radius),
        center=old.center if center is None else _triple(FRAME_CENTER.check("center", center)),
    )
    unit = density_unit(grid)  # refuses what nobody could draw
    tell: Progress = progress or (lambda step, done, total: None)
    staging = open_staging(target, overwrite=options.overwrite)
    journal = {"writer": __version__, "transform": [grid.radius, grid.center]}
    with open_store(origin.path) as store, staging.begin(journal, resume=False):
        rounding = 0.0
        for spec, values in copied_chunks(store, staging.scene, tell):
            if spec.name == "rows/density":
                rounding = max(rounding, density_rounding(values, unit))
        meta = replace(
            origin.meta,
            grid=grid,
            levels=(),
            density_rounding=rounding,
            converter=__version__,
            history=new_history([origin], _line(grid, old)),
        )
        return published(
            staging,
            meta,
            codec=origin.codec,
            began=began,
            planned_bytes=origin.table_bytes + copying_bytes(origin.meta),
            spill_bytes=0,
            density_change=rounding,
        )


def _triple(values: Any) -> tuple[float, float, float]:
    x, y, z = np.asarray(values, np.float64).tolist()
    return x, y, z


def _line(grid: GridSpec, old: GridSpec) -> str:
    return (
        f"transform from radius {old.radius} and center {old.center} to radius {grid.radius} and "
        f"center {grid.center}"
    )
