"""Checkpoint in, scene out.

1. Open: headers and scalars of the checkpoint; is the target free?
2. Digest: the whole file once, for the scene's attributes and for `resume`.
3. Scan: the links once (`scan`): which voxels are active, and in which order rows come.
4. Rows: checked where they can be read in place, else written to a file in voxel order (`spill`).
   So are background layers and basis, where there are any (`extra_chunks`).
5. Pack: a Dask task a slab (`graph`, `slab`); chunks are written as they fill.
6. Finish: tables and shared chunks (`assemble`), coarser levels and documents (`importers.levels`);
   then the scene moves to its target.

Each step leaves a file when it is done, so that an interrupted conversion goes on from there.
"""

from __future__ import annotations

import io
import logging
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import xxhash

from plenostream import __version__
from plenostream.errors import CheckpointError, InvalidInput, shown
from plenostream.field.grid import BrickGrid
from plenostream.field.ndc import looks_forward_facing
from plenostream.field.precision import density_unit
from plenostream.files import durable
from plenostream.files.durable import flush_tree, write_atomically
from plenostream.files.paths import local_path
from plenostream.format.layout import SceneMeta
from plenostream.format.remote_staging import open_staging
from plenostream.format.staging import Staging
from plenostream.importers.levels.make import finish_scene, levels_asked
from plenostream.importers.packing.report import ConvertReport
from plenostream.importers.packing.sizing import MemoryPlan, check_disk
from plenostream.importers.packing.slab import SlabJob
from plenostream.importers.packing.steps import pack_scene, plan_slabs, published
from plenostream.importers.svox2.checkpoint import Checkpoint, open_checkpoint
from plenostream.importers.svox2.extra_chunks import extra_bytes, write_extras
from plenostream.importers.svox2.members import StoredArray
from plenostream.importers.svox2.rows import RowSource, describe_table
from plenostream.importers.svox2.scan import (
    BITS_FILE,
    ROWS_FILE,
    LinkScan,
    load_scan,
    save_scan,
    scan_links,
)
from plenostream.importers.svox2.spill import (
    check_stored,
    needs_spill,
    spill_bytes,
    spill_table,
    spilled_table,
)
from plenostream.importers.svox2.voxels import LinkedVoxels
from plenostream.options import ConvertOptions
from plenostream.results import Progress
from plenostream.rules.bytesize import format_bytes

__all__ = ["convert"]

_log = logging.getLogger(__name__)
_PIECE_BYTES = 4 << 20
_WORK_VERSION = 2
"""Of the files that unfinished work consists of: raised when what one of them holds changes."""


def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    options: ConvertOptions | None = None,
    *,
    progress: Progress | None = None,
) -> ConvertReport:
    """Convert the svox2 checkpoint `source` (``.npz``) into a scene at `target`, a folder or a URL of one.

    Nothing that opens as a scene is at `target` before everything is written, and the same
    checkpoint and options give the same bytes, whatever the memory and the number of workers.
    With an active `dask.distributed` client the work runs on its cluster, whose workers must see
    the same files: the checkpoint, and the work. That is beside a folder, or for a URL in the current
    folder.

    Parameters
    ----------
    options : None for the defaults
    progress : called with what is being done, how much of it is done, and how much there is

    Raises
    ------
    InvalidInput : `options` of another type, a path that is none, a source at a URL, a target that is the
    current folder or above it; a scene whose lengths are beyond float32.
    CheckpointError : damaged, hostile, or holding what a scene cannot represent yet.
    StoreExists : the target is there, and replacing it was not asked for.
    StoreError : it cannot be written, or there is not enough disk.
    BudgetError : the memory allowed is too small for a single column of bricks, or for making levels: the
    latter is known before anything is written.
    ClusterError : the cluster was lost, or does not see the work.
    """
    began = time.perf_counter()
    options = ConvertOptions() if options is None else options
    if not isinstance(options, ConvertOptions):
        raise InvalidInput(f"options is {shown(options)}; expected ConvertOptions")
    tell: Progress = progress or (lambda step, done, total: None)
    staging = open_staging(target, overwrite=options.overwrite)
    path = os.path.abspath(
        local_path(source, what="checkpoint")
    )  # workers of a cluster may stand in other folders
    checkpoint = open_checkpoint(path)
    density_unit(checkpoint.grid)  # refuses what nobody could draw
    stamp = _stamp(path)
    digest = _digest(checkpoint, partial(tell, "digest"))
    journal = {
        "converter": __version__,
        "work": _WORK_VERSION,
        "source_digest": digest,
        "source_bytes": checkpoint.n_bytes,
        "brick_size": options.brick_size,
        "dtype": options.dtype,
        "codec": options.codec,
        "ndc": None if options.ndc is None else list(options.ndc),
        "levels": levels_asked(_meta(checkpoint, options, digest), staging.scene, options),
    }
    with staging.begin(journal, resume=options.resume):
        steps = _Steps(checkpoint, staging, options, digest, tell)
        meta, level_bytes = finish_scene(staging.folder, staging.scene, steps.run(), options, tell)
        if _stamp(path) != stamp:
            raise CheckpointError(f"{path} was changed while it was being converted")
        return published(
            staging,
            meta,
            codec=options.codec,
            began=began,
            planned_bytes=max(steps.planned_bytes, level_bytes),
            spill_bytes=steps.spilled_bytes,
            density_change=steps.density_change,
            may_need_ndc=options.ndc is None and looks_forward_facing(meta.grid),
        )


def _stamp(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    return status.st_size, status.st_mtime_ns


def _digest(checkpoint: Checkpoint, progress: Callable[[int, int], None]) -> str:
    """xxh3-64 of the file, 16 hexadecimal digits."""
    digest = xxhash.xxh3_64()
    buffer = bytearray(_PIECE_BYTES)
    done = 0
    try:
        with open(checkpoint.path, "rb", buffering=0) as file:
            while n := file.readinto(buffer):
                digest.update(memoryview(buffer)[:n])
                done += n
                progress(done, checkpoint.n_bytes)
    except OSError as error:
        raise CheckpointError(f"{checkpoint.path} cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def _meta(checkpoint: Checkpoint, options: ConvertOptions, digest: str) -> SceneMeta:
    """What is known of the scene before its voxels are counted; `assemble` fills in the rest."""
    half = options.dtype == "float16"
    return SceneMeta(
        grid=checkpoint.grid,
        brick_size=options.brick_size,
        basis_dim=checkpoint.basis_dim,
        n_bricks=0,
        n_occupied=0,
        n_voxels=0,
        n_rows=0,
        sh_dtype="float16" if half else checkpoint.sh_dtype,
        density_rounding=0.0,
        converter=__version__,
        source_name=os.path.basename(checkpoint.path),
        source_bytes=checkpoint.n_bytes,
        source_digest=digest,
        tables_digest="",
        ndc=options.ndc,
    )


class _Steps:
    """Steps 3 to 6 of one conversion: their common inputs, and the numbers that they report."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        staging: Staging,
        options: ConvertOptions,
        digest: str,
        tell: Progress,
    ) -> None:
        self._checkpoint, self._options, self._tell = checkpoint, options, tell
        self._digest = digest
        self._work, self._scene = staging.folder, staging.scene
        self._bricks = BrickGrid(size=checkpoint.grid.size, brick_size=options.brick_size)
        self.spilled_bytes = 0
        self.planned_bytes = 0
        self.density_change = 0.0

    def run(self) -> SceneMeta:
        """Make the scene, but for its levels and documents."""
        scan = self._scan()
        slab_rows = scan.slab_rows(self._bricks)
        memory = plan_slabs(
            self._bricks,
            scan,
            self._options,
            scene=self._scene,
            sh_columns=3 * self._checkpoint.basis_dim,
            row_bytes=sum(table.row_bytes for table in self._checkpoint.tables),
        )
        self.planned_bytes = memory.planned_bytes
        meta = _meta(self._checkpoint, self._options, self._digest)
        meta = self._extras(replace(meta, n_voxels=scan.n_voxels, n_rows=int(slab_rows.sum())))
        job = SlabJob(
            work=os.fspath(self._work),
            scene=self._scene,
            meta=meta,
            codec=self._options.codec,
            source=LinkedVoxels(
                work=os.fspath(self._work),
                bricks=self._bricks,
                rows=self._rows(scan, memory, meta),
                voxels_before=scan.voxels_before(),
            ),
            round_density=self._options.dtype == "float16",
            rows_before=np.concatenate([[0], np.cumsum(slab_rows)]),
            column=memory.column,
        )
        meta, self.density_change = pack_scene(job, memory, self._tell)
        return meta

    def _extras(self, meta: SceneMeta) -> SceneMeta:
        """Background layers and basis, where there are any."""
        check_disk(self._work, extra_bytes(self._checkpoint), what="Converting")
        return write_extras(
            self._checkpoint,
            meta,
            work=self._work,
            scene=self._scene,
            codec=self._options.codec,
        )

    def _scan(self) -> LinkScan:
        done = self._work / "scan.npz"
        if done.exists():
            return load_scan(done)
        links = self._checkpoint.links
        x, y, z = links.shape
        turned = links.dtype.itemsize * x * y * z if links.fortran_order else 0
        check_disk(self._work, turned + x * y * (-(-z // 8)), what="Reading the links")
        scan = scan_links(
            self._checkpoint, self._bricks, self._work, progress=partial(self._tell, "scan")
        )
        content = io.BytesIO()
        save_scan(content, scan)
        # `scan.npz` says that they are whole.
        for name in (BITS_FILE, ROWS_FILE):
            if (self._work / name).exists():
                durable.flush_file(self._work / name)
        write_atomically(done, content.getvalue())
        return scan

    def _rows(self, scan: LinkScan, memory: MemoryPlan, meta: SceneMeta) -> RowSource:
        """Step 4: the rows, readable in the order of the voxels."""
        tables = self._checkpoint.tables
        self.spilled_bytes = sum(
            spill_bytes(t, scan.n_voxels, in_order=scan.in_order) for t in tables
        )
        done = self._work / "rows.done"
        if not done.exists():
            scene = meta.n_rows * (4 + meta.sh_columns * np.dtype(meta.sh_dtype).itemsize)
            if self.spilled_bytes:
                _log.info(
                    "rows go through a file: up to %s of disk beside the target",
                    format_bytes(self.spilled_bytes),
                )
            check_disk(self._work, scene + self.spilled_bytes, what="Converting")
            for table in tables:
                self._make_readable(table, scan, memory)
            if (self._work / "spill").exists():
                flush_tree(self._work / "spill")
            write_atomically(done, b"")
        ready = tuple(
            spilled_table(table, self._spill_folder(table))
            if needs_spill(table, in_order=scan.in_order)
            else describe_table(table)
            for table in tables
        )
        return RowSource.of(self._checkpoint, ready, dtype=self._options.dtype)

    def _spill_folder(self, table: StoredArray) -> Path:
        return self._work / "spill" / table.key

    def _make_readable(self, table: StoredArray, scan: LinkScan, memory: MemoryPlan) -> None:
        """Spill a table, or check the bytes of one that can be read in place."""
        if not needs_spill(table, in_order=scan.in_order):
            check_stored(table)
            return
        folder = self._spill_folder(table)
        shutil.rmtree(folder, ignore_errors=True)  # what a killed run may have left
        folder.mkdir(parents=True)
        spill_table(
            table,
            folder,
            n_voxels=scan.n_voxels,
            rows_file=None if scan.in_order else self._work / ROWS_FILE,
            memory_bytes=memory.spill_bytes,
            progress=partial(self._tell, f"rows of {table.key}"),
        )
