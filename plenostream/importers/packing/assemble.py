"""Assembles a scene from its packed slabs: tables, and chunks that slabs share."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import numpy as np

from plenostream.format.digests import tables_digest
from plenostream.format.layout import ROW_ARRAYS, SceneMeta, array_specs
from plenostream.format.target import put_at_once
from plenostream.format.writer import ChunkWriter, write_edges
from plenostream.importers.packing.slab import PART_TABLES, SlabJob, load_part

__all__ = ["assemble"]


def assemble(job: SlabJob) -> tuple[SceneMeta, float]:
    """Write all that is missing in the scene of `job` but for its documents.

    Returns what the scene says about itself, and the `density_change` of its slabs.

    The tables (some 700 bytes a brick at B = 16) are held in memory, as they are by readers.
    """
    parts = [load_part(job, slab) for slab in range(len(job.rows_before) - 1)]
    joined = {name: np.concatenate([part.tables[name] for part in parts]) for name in PART_TABLES}
    counts = joined.pop("n_rows")
    joined["row_start"] = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    tables = {f"bricks/{name}": values for name, values in joined.items()}
    digest = tables_digest(tables)
    meta = replace(
        job.meta,
        n_bricks=len(counts),
        n_occupied=int(np.count_nonzero(joined["density_max"])),
        density_rounding=max(part.density_rounding for part in parts),
        # What is no file has no digest but that of what was made of it.
        source_digest=job.meta.source_digest or digest,
        tables_digest=digest,
    )
    specs = array_specs(meta)
    with put_at_once(job.scene) as put:
        for name, values in tables.items():
            writer = ChunkWriter(put, specs[name], codec=job.codec, start=0)
            writer.append(values)
            writer.close()
        for name in ROW_ARRAYS:
            edges = chain.from_iterable(part.edges[name] for part in parts)
            write_edges(put, specs[name], edges, codec=job.codec)
    return meta, max(part.density_change for part in parts)
