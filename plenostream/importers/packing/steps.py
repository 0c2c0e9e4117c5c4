"""The last steps of every conversion: memory is planned, slabs are packed, the scene is finished."""

from __future__ import annotations

import time

import numpy as np

from plenostream.field.grid import BrickGrid
from plenostream.format.layout import SceneMeta
from plenostream.format.staging import Staging
from plenostream.format.target import ByteTarget
from plenostream.importers.packing.assemble import assemble
from plenostream.importers.packing.graph import n_workers, pack_slabs
from plenostream.importers.packing.planes import PlaneCounts
from plenostream.importers.packing.report import ConvertReport
from plenostream.importers.packing.sizing import MemoryPlan, plan_memory, sending_bytes
from plenostream.importers.packing.slab import SlabJob, is_done
from plenostream.options import ConvertOptions
from plenostream.process.freed import give_back_freed
from plenostream.results import Progress

__all__ = ["pack_scene", "plan_slabs", "published"]


def plan_slabs(
    bricks: BrickGrid,
    counts: PlaneCounts,
    options: ConvertOptions,
    *,
    scene: ByteTarget,
    sh_columns: int,
    row_bytes: int,
    widest: int | None = None,
) -> MemoryPlan:
    """How the slabs of voxels that were counted are packed within `options.host_memory`.

    `scene` is where they go, with `sh_columns` coefficients a row; `row_bytes` of a voxel in the source
    and `widest` as in `plan_memory`.

    Raises
    ------
    BudgetError : not even one column of the narrowest kind fits.
    """
    slab_rows = counts.slab_rows(bricks)
    return plan_memory(
        bricks,
        row_bytes=row_bytes,
        slab_voxels=int(counts.slab_voxels(bricks).max()),
        slab_rows=int(slab_rows.max()),
        workers=min(n_workers(options.workers), len(slab_rows)),
        allowed_bytes=options.host_bytes,
        beside_bytes=sending_bytes(scene, sh_columns),
        widest=widest,
    )


def pack_scene(
    job: SlabJob, memory: MemoryPlan, tell: Progress, *, along_x: bool = False
) -> tuple[SceneMeta, float]:
    """Pack all slabs that are not packed yet and finish the scene, but for its documents.

    `along_x`: one slab after the other, where what is read for one helps the next.

    Returns what the scene says about itself, and the `density_change` of its slabs.

    Raises
    ------
    CheckpointError : values that cannot be stored.
    """
    give_back_freed()
    job.part_file(0).parent.mkdir(exist_ok=True)
    job.stop_file.unlink(missing_ok=True)
    n_slabs = len(job.rows_before) - 1
    missing = [slab for slab in range(n_slabs) if not is_done(job, slab)]
    if not along_x:
        # The largest first, so that no worker is left alone with one at the end.
        missing.sort(key=lambda slab: -int(job.rows_before[slab + 1] - job.rows_before[slab]))
    packed = n_slabs - len(missing)
    tell("pack", packed, n_slabs)

    def count() -> None:
        nonlocal packed
        packed += 1
        tell("pack", packed, n_slabs)

    pack_slabs(job, missing, in_flight=memory.in_flight, progress=count)
    give_back_freed()
    tell("finish", 0, 1)
    done = assemble(job)
    tell("finish", 1, 1)
    return done


def published(
    staging: Staging,
    meta: SceneMeta,
    *,
    codec: str,
    began: float,
    planned_bytes: int,
    spill_bytes: int,
    density_change: float,
    may_need_ndc: bool = False,
) -> ConvertReport:
    """Write the documents of a scene that is finished otherwise, and show it at its target; the report
    of what was made since `began`.

    Raises
    ------
    StoreExists, StoreError : the target appeared meanwhile, or cannot be written.
    """
    staging.publish(meta, codec=codec)
    return ConvertReport(
        n_voxels=meta.n_voxels,
        active_share=meta.n_voxels / float(np.prod(meta.grid.size, dtype=np.float64)),
        n_bricks=meta.n_bricks,
        occupied_share=meta.n_occupied / float(np.prod(meta.bricks.shape, dtype=np.float64)),
        source_bytes=meta.source_bytes,
        scene_bytes=staging.n_bytes,
        spill_bytes=spill_bytes,
        planned_bytes=planned_bytes,
        density_rounding=density_change,
        may_need_ndc=may_need_ndc,
        seconds=time.perf_counter() - began,
    )
