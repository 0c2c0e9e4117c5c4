"""Packs one slab of bricks: what a Dask task does.

A slab is cut, where memory demands it, into columns of bricks that follow each other in Morton
order, so that how it is cut changes no byte. Each column reads its voxels' rows, packs them into
bricks and hands the rows to the chunk writers. The part file, which appears last and at once, says
that the slab is done.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import InternalError
from plenostream.field.precision import density_rounding, density_unit, float16_densities
from plenostream.files.durable import write_atomically
from plenostream.format.digests import brick_digest
from plenostream.format.layout import (
    ROW_ARRAYS,
    SLAB_BRICKS,
    TABLES,
    ArraySpec,
    SceneMeta,
    array_specs,
    morton_key,
)
from plenostream.format.target import ByteTarget, put_at_once
from plenostream.format.writer import ChunkWriter, Edge, is_sound_chunk
from plenostream.importers.packing.cutting import BrickBox, CutBricks, cut_bricks, sh_norms
from plenostream.importers.packing.voxels import SlabVoxels, VoxelSource

__all__ = [
    "PART_TABLES",
    "SlabJob",
    "SlabPart",
    "is_done",
    "load_part",
    "pack_slab",
]

PART_TABLES = tuple("n_rows" if name == "row_start" else name for name in TABLES)
"""What a part says about each of its bricks: the scene's tables, with counts instead of starts."""
_GROUP_ROWS = 1 << 17
"""Rows that are gathered, digested and handed to the writers at a time."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SlabJob:
    """All that any slab of a conversion needs to know; small and picklable."""

    work: str
    """Folder of the conversion, or of a level."""
    scene: ByteTarget
    """The scene in the making, or the level."""
    meta: SceneMeta
    """The scene; only its grid, types and number of rows count here."""
    codec: str
    source: VoxelSource
    round_density: bool
    """Whether densities are rounded to float16, as the device does (they are float32 nevertheless)."""
    rows_before: NDArray[np.int64]
    """Rows of the scene before each slab [slabs + 1]."""
    column: int
    """Bricks along y and z that are packed at a time, a power of two; where it is less than SLAB_BRICKS,
    along x, too."""

    @property
    def stop_file(self) -> Path:
        """There once the conversion has failed: slabs that have not begun then do not."""
        return Path(self.work) / "stop"

    def part_file(self, slab: int) -> Path:
        """Where the part of a slab is, once it is done."""
        return Path(self.work) / "parts" / f"{slab:06d}.npz"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SlabPart:
    """What a packed slab leaves to `assemble`: its tables, and its rows of shared chunks."""

    tables: dict[str, NDArray[Any]]
    """By name (see PART_TABLES), one entry per brick."""
    edges: dict[str, list[Edge]]
    """Rows of chunks that are shared with other slabs, by array."""
    density_change: float
    """Largest change of a density of the checkpoint by float16 on the device, per world unit."""
    density_rounding: float
    """The same of the densities that are stored."""


def pack_slab(job: SlabJob, slab: int, *_: object) -> int:
    """Pack slab number `slab` and write its chunks and its part; returns its rows.

    Further arguments are results of slabs that had to be done before this one; not looked at.

    Raises
    ------
    CheckpointError : values that cannot be stored.
    """
    if job.stop_file.exists():
        return 0
    specs = array_specs(job.meta)
    start = int(job.rows_before[slab])
    with put_at_once(job.scene) as put:
        writers = {
            name: ChunkWriter(put, specs[name], codec=job.codec, start=start) for name in ROW_ARRAYS
        }
        voxels = job.source.slab(slab)
        columns = [_pack_column(job, voxels, box, writers) for box in _columns(job, slab)]
        edges = {name: writer.close() for name, writer in writers.items()}
    parts = [_empty_part(specs), *(part for part in columns if part is not None)]
    tables = {name: np.concatenate([part.tables[name] for part in parts]) for name in PART_TABLES}
    n_rows = int(tables["n_rows"].sum())
    if n_rows != job.rows_before[slab + 1] - start:
        raise InternalError(
            f"slab {slab} has {n_rows} rows, {job.rows_before[slab + 1] - start} were counted"
        )
    part = SlabPart(
        tables=tables,
        edges=edges,
        density_change=max(part.density_change for part in parts),
        density_rounding=max(part.density_rounding for part in parts),
    )
    _save_part(job.part_file(slab), part)
    return n_rows


def _columns(job: SlabJob, slab: int) -> Iterator[BrickBox]:
    """The columns of a slab, in Morton order."""
    shape = job.meta.bricks.shape
    x0, edges = slab * SLAB_BRICKS, (min(job.column, SLAB_BRICKS), job.column, job.column)
    ends = min(SLAB_BRICKS, shape[0] - x0), *shape[1:]
    counts = [-(-n // edge) for n, edge in zip(ends, edges, strict=True)]
    place = np.moveaxis(np.indices(counts, np.int32), 0, -1).reshape(-1, 3)
    for x, y, z in (place[np.argsort(morton_key(place))] * edges).tolist():
        yield BrickBox(
            bricks=job.meta.bricks,
            lower=(x0 + x, y, z),
            upper=(
                min(x0 + x + edges[0], shape[0]),
                min(y + edges[1], shape[1]),
                min(z + edges[2], shape[2]),
            ),
        )


def _empty_part(specs: Mapping[str, ArraySpec]) -> SlabPart:
    """The part of no bricks."""
    tables = {
        part: np.zeros((0, *specs[f"bricks/{name}"].shape[1:]), specs[f"bricks/{name}"].dtype)
        for part, name in zip(PART_TABLES, TABLES, strict=True)
    }
    return SlabPart(tables=tables, edges={}, density_change=0.0, density_rounding=0.0)


def _pack_column(
    job: SlabJob, voxels: SlabVoxels, box: BrickBox, writers: dict[str, ChunkWriter]
) -> SlabPart | None:
    found = voxels.read(box)
    if found is None:
        return None
    density, sh = found.density, found.sh
    unit = density_unit(job.meta.grid)
    change = rounding = density_rounding(density, unit)
    if job.round_density:
        density = float16_densities(density, unit)
        rounding = density_rounding(density, unit)
    packed = cut_bricks(found.active, density, sh_norms(sh), box)
    return SlabPart(
        tables={
            "index": packed.index,
            "n_rows": np.diff(packed.row_start),
            "mask": packed.mask,
            "boxes": packed.boxes,
            "density_max": packed.density_max,
            "sh_bound": packed.sh_bound,
            "digest": _write_rows(packed, density, sh, writers),
        },
        edges={},
        density_change=change,
        density_rounding=rounding,
    )


def _write_rows(
    packed: CutBricks,
    density: NDArray[np.float32],
    sh: NDArray[np.floating],
    writers: dict[str, ChunkWriter],
) -> NDArray[np.uint64]:
    """Hand the rows of the bricks to the writers, in order; returns the bricks' digests."""
    starts = packed.row_start.tolist()
    digest = np.zeros(len(packed.index), np.uint64)
    first = 0
    while first < len(digest):
        # Whole bricks of about _GROUP_ROWS rows, so that memory does not grow with the slab.
        last = int(np.searchsorted(packed.row_start, starts[first] + _GROUP_ROWS, side="right"))
        last = max(first + 1, last - 1)
        rows = packed.source[starts[first] : starts[last]]
        density_rows, sh_rows = density[rows], sh[rows]
        for brick in range(first, last):
            own = slice(starts[brick] - starts[first], starts[brick + 1] - starts[first])
            digest[brick] = brick_digest(
                packed.index[brick], packed.mask[brick], density_rows[own], sh_rows[own]
            )
        writers["rows/density"].append(density_rows)
        writers["rows/sh"].append(sh_rows)
        first = last
    return digest


def _save_part(path: Path, part: SlabPart) -> None:
    arrays = dict(part.tables)
    arrays["density_change"] = np.array(part.density_change)
    arrays["density_rounding"] = np.array(part.density_rounding)
    for name in ROW_ARRAYS:
        arrays[f"{name}.starts"] = np.array([e.start for e in part.edges[name]], np.int64)
        for number, edge in enumerate(part.edges[name]):
            arrays[f"{name}.{number}"] = edge.rows
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    write_atomically(path, content.getvalue())


def load_part(job: SlabJob, slab: int) -> SlabPart:
    """The part of a slab that is done."""
    with np.load(job.part_file(slab), allow_pickle=False) as values:
        return SlabPart(
            tables={name: values[name] for name in PART_TABLES},
            edges={
                name: [
                    Edge(start=start, rows=values[f"{name}.{number}"])
                    for number, start in enumerate(values[f"{name}.starts"].tolist())
                ]
                for name in ROW_ARRAYS
            },
            density_change=float(values["density_change"]),
            density_rounding=float(values["density_rounding"]),
        )


def is_done(job: SlabJob, slab: int) -> bool:
    """Whether a slab was packed before: its part is there, and its chunks match their checksums."""
    if not job.part_file(slab).exists():
        return False
    specs = array_specs(job.meta)
    first, last = int(job.rows_before[slab]), int(job.rows_before[slab + 1])
    for name in ROW_ARRAYS:
        spec = specs[name]
        per_chunk = spec.chunk_shape[0]
        end = spec.n_chunks if last == spec.shape[0] else last // per_chunk
        for chunk in range(-(-first // per_chunk), end):
            if not is_sound_chunk(job.scene, spec, chunk):
                return False
    return True
