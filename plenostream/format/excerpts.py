"""Some bricks of a scene with very many: their tables alone, read in sections and checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import InternalError
from plenostream.format.asking import asked_at_once
from plenostream.format.digests import digest_of
from plenostream.format.reader import SceneStore
from plenostream.format.table_sections import SECTIONED
from plenostream.format.tables import BrickTables, excerpt_faults

__all__ = ["excerpt_of"]


def excerpt_of(store: SceneStore, bricks: NDArray[np.int64]) -> SceneStore:
    """Some bricks [k], rising, of a scene or level as one that has no others, numbered from 0 on.

    Raises
    ------
    BrickCorrupt : a section of the tables is damaged, or not what was written.
    """
    said = store.meta.table_sections
    if said is None:
        raise InternalError("the tables of this scene have no sections")
    per_section = store.specs[SECTIONED[0]].chunk_shape[0]
    n, cut = len(bricks), store.meta.bricks
    row, digest = np.empty(n, np.int64), np.empty(n, np.uint64)
    mask = np.empty((n, cut.mask_bytes), np.uint8)
    boxes = np.empty((n, cut.blocks, 6), np.uint8)
    wanted, starts = np.unique(bricks // per_section, return_index=True)
    with asked_at_once(store.source.n_at_once) as each:
        chunks = ((name, chunk) for chunk in wanted.tolist() for name in SECTIONED)
        fetched = each(lambda place: store.fetch_chunk(*place), chunks)
        for chunk, start, end in zip(wanted.tolist(), starts, [*starts[1:], n], strict=False):
            mine, first = slice(start, end), chunk * per_section
            # The last entry of row_start may lie in the last chunk, and is no brick's.
            length = min(per_section, store.meta.n_bricks - first)
            values = [
                store.fetch_and_decode(name, chunk, fetched=blobs)[0][:length]
                for name, blobs in zip(SECTIONED, fetched, strict=False)
            ]
            if digest_of(values) != said.sections[chunk]:
                store.refuse([f"bricks/ has a section, {chunk}, that is not what was written"])
            arrays: tuple[NDArray[Any], ...] = (row, mask, boxes, digest)
            for array, part in zip(arrays, values, strict=True):
                array[mine] = part[bricks[mine] - first]
    counts = np.bitwise_count(mask).sum(axis=1, dtype=np.int64)
    tables = BrickTables(
        index=store.places.index[bricks],
        row_start=np.concatenate([[0], np.cumsum(counts)]),
        mask=mask,
        boxes=boxes,
        density_max=store.places.density_max[bricks],
        sh_bound=store.places.sh_bound[bricks],
        digest=digest,
        number=bricks,
        scene_row=row,
    )
    if faults := excerpt_faults(store.meta, tables):
        store.refuse(faults)
    return store.holding(tables)
