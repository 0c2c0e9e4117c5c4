"""Source in, scene out: gather, pack, finish; what `write_scene` and volumes have in common.

1. Open: is the target free, does the work fit its memory?
2. Gather: the source is asked box by box; active voxels go to files beside the target (`gather`).
3. Pack and finish: as for every other source (`importers.packing`, `importers.levels`).

Each slab that is gathered or packed is kept, so that an interrupted writing goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from plenostream import __version__
from plenostream.errors import InvalidInput
from plenostream.field.grid import BrickGrid, GridSpec
from plenostream.field.precision import density_unit
from plenostream.files.paths import PathLike
from plenostream.format.extras import BackgroundMeta, LearnedBasis
from plenostream.format.layout import SceneMeta
from plenostream.format.remote_staging import open_staging
from plenostream.format.schema import MOST_VOXELS_AN_AXIS
from plenostream.format.staging import Staging
from plenostream.importers.arrays.boxes import BoxSource
from plenostream.importers.arrays.gather import (
    gather,
    gathering_bytes,
    slab_files,
    widest_boxes,
)
from plenostream.importers.arrays.tiles import TiledVoxels
from plenostream.importers.arrays.values import ValueForm
from plenostream.importers.levels.make import finish_scene, levels_asked
from plenostream.importers.packing.report import ConvertReport
from plenostream.importers.packing.sizing import check_disk, plan_memory
from plenostream.importers.packing.slab import SlabJob
from plenostream.importers.packing.steps import pack_scene, plan_slabs, published
from plenostream.options import ConvertOptions, EditOptions
from plenostream.results import Progress

__all__ = ["DescribedSource", "box_width", "make_scene"]

_WORK_VERSION = 1
"""Of the files that unfinished work consists of: raised when what one of them holds changes."""
_WIDEST_COLUMN = 8
"""Bricks along y and z that are packed at a time: most of a sparse grid is then passed over."""
_READ_AGAIN = 1.6
"""Tiles that a column of 8 bricks reads, over its own: those of its apron are read whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedSource:
    """A source of voxels that nobody has asked yet."""

    name: str
    """Said in the scene's attributes."""
    form: ValueForm
    open: Callable[[Staging, Progress], BoxSource]
    """Given the place of the work, and whom to tell of it."""
    n_bytes: int = 0
    """Size of what is read, where it has one."""
    held_bytes: int = 0
    """Memory that it keeps between two boxes."""
    identity: dict[str, Any] = field(default_factory=dict)
    """What `resume` goes by beside name, size and form: JSON values."""
    close: Callable[[], None] = lambda: None
    """Called when all voxels are gathered."""
    digest: str = ""
    """Of the file that all comes from in the end; empty: there is none."""
    history: tuple[str, ...] = ()
    """What was done to that since, for the scene's attributes."""
    background: BackgroundMeta | None = None
    """Layers behind the volume, whose chunks `open` writes."""
    learned: LearnedBasis | None = None
    """A basis that is no spherical harmonics, whose chunks `open` writes."""


def box_width(
    bricks: BrickGrid, form: ValueForm, options: ConvertOptions | EditOptions, *, held_bytes: int
) -> int:
    """Voxels along y and z of the boxes that a source is asked for, which keeps `held_bytes` itself.

    Raises
    ------
    BudgetError : boxes of a brick do not fit the memory, or not even packing next to nothing does. What
        packing takes more than that is known once all voxels are gathered.
    """
    width = widest_boxes(bricks, form, allowed_bytes=options.host_bytes, held_bytes=held_bytes)
    plan_memory(
        bricks,
        row_bytes=form.row_bytes,
        slab_voxels=0,
        slab_rows=0,
        workers=1,
        allowed_bytes=options.host_bytes,
        beside_bytes=0,
        widest=_WIDEST_COLUMN,
    )
    return width


def make_scene(
    target: PathLike,
    grid: GridSpec,
    source: DescribedSource,
    options: ConvertOptions,
    *,
    progress: Progress | None,
) -> ConvertReport:
    """Write the scene of a source at `target`; see `write_scene` for what is raised."""
    began = time.perf_counter()
    tell: Progress = progress or (lambda step, done, total: None)
    if max(grid.size) > MOST_VOXELS_AN_AXIS:
        raise InvalidInput(
            f"the grid has {grid.size} voxels; expected {MOST_VOXELS_AN_AXIS} an axis at most"
        )
    density_unit(grid)  # refuses what nobody could draw
    staging = open_staging(target, overwrite=options.overwrite)
    bricks = BrickGrid(size=grid.size, brick_size=options.brick_size)
    form = source.form
    width = box_width(bricks, form, options, held_bytes=source.held_bytes)
    journal = {
        "writer": __version__,
        "work": _WORK_VERSION,
        "source": source.name,
        "source_bytes": source.n_bytes,
        "identity": source.identity,
        "grid": [list(values) for values in (grid.size, grid.radius, grid.center)],
        "basis_dim": form.basis_dim,
        "brick_size": options.brick_size,
        "dtype": options.dtype,
        "codec": options.codec,
        "ndc": None if options.ndc is None else list(options.ndc),
        "levels": levels_asked(_meta(grid, source, options), staging.scene, options),
    }
    with staging.begin(journal, resume=options.resume):
        files = slab_files(staging.folder, bricks, form)
        counts = gather(source.open(staging, tell), bricks, form, files, width=width, tell=tell)
        source.close()
        memory = plan_slabs(
            bricks,
            counts,
            options,
            scene=staging.scene,
            sh_columns=form.columns,
            row_bytes=int(form.row_bytes * _READ_AGAIN),
            widest=_WIDEST_COLUMN,
        )
        slab_rows = counts.slab_rows(bricks)
        check_disk(staging.folder, int(slab_rows.sum()) * form.row_bytes, what="Packing")
        job = SlabJob(
            work=str(staging.folder),
            scene=staging.scene,
            meta=replace(
                _meta(grid, source, options),
                n_voxels=counts.n_voxels,
                n_rows=int(slab_rows.sum()),
            ),
            codec=options.codec,
            source=TiledVoxels(slabs=files, bricks=bricks),
            round_density=options.dtype == "float16",
            rows_before=np.concatenate([[0], np.cumsum(slab_rows)]),
            column=memory.column,
        )
        meta, density_change = pack_scene(job, memory, tell)
        meta, level_bytes = finish_scene(staging.folder, staging.scene, meta, options, tell)
        gathered = gathering_bytes(bricks, form, width, source.held_bytes)
        return published(
            staging,
            meta,
            codec=options.codec,
            began=began,
            planned_bytes=max(gathered, memory.planned_bytes, level_bytes),
            spill_bytes=counts.n_voxels * form.row_bytes,
            density_change=density_change,
        )


def _meta(grid: GridSpec, source: DescribedSource, options: ConvertOptions) -> SceneMeta:
    """What is known of the scene before its voxels are counted."""
    return SceneMeta(
        grid=grid,
        brick_size=options.brick_size,
        basis_dim=source.form.columns // 3,
        n_bricks=0,
        n_occupied=0,
        n_voxels=0,
        n_rows=0,
        sh_dtype=source.form.sh_dtype,
        density_rounding=0.0,
        converter=__version__,
        source_name=source.name,
        source_bytes=source.n_bytes,
        source_digest=source.digest,  # where there is none, `assemble` takes that of the tables
        tables_digest="",
        history=source.history,
        background=source.background,
        learned=source.learned,
        ndc=options.ndc,
    )
