"""Copies all chunks of a scene as they are, once they are found to be what was written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from plenostream.format.brick_rows import BrickRows, cached_chunks
from plenostream.format.extra_arrays import ExtraCheck
from plenostream.format.layout import ROW_ARRAYS, ArraySpec, SceneMeta, array_specs, extra_names
from plenostream.format.reader import SceneStore
from plenostream.format.target import ByteTarget, put_at_once
from plenostream.format.writer import encode_chunk
from plenostream.results import Progress

__all__ = ["copied_chunks", "copying_bytes"]


def copying_bytes(meta: SceneMeta) -> int:
    """The most memory that `copied_chunks` takes, where each chunk is let go of before the next."""
    largest = max(spec.chunk_bytes for spec in array_specs(meta).values())
    return 3 * largest + cached_chunks(meta, 0)[1]


def copied_chunks(
    store: SceneStore, target: ByteTarget, tell: Progress
) -> Iterator[tuple[ArraySpec, Any]]:
    """Put every chunk of a scene's level 0 into `target`; what was put.

    Each brick is held against its digest, as when it is drawn, and so are background and basis.

    Memory: a chunk, decoded and encoded, and the chunks of a few bricks.

    Raises
    ------
    BrickCorrupt : a chunk, a brick or an array is damaged; the copy must not be finished.
    """
    total = sum(spec.n_chunks for spec in store.specs.values())
    done = 0
    rows = BrickRows(store, n_chunks=cached_chunks(store.meta, 0)[0])
    group_of = {name: g for g, names in extra_names(store.meta).items() for name in names}
    checks = {group: ExtraCheck(store.meta, group) for group in set(group_of.values())}
    with put_at_once(target) as put:
        for name, spec in store.specs.items():
            read = rows.chunk if name in ROW_ARRAYS else store.read_chunk
            for chunk in range(spec.n_chunks):
                values = read(name, chunk)
                if name in group_of:
                    checks[group_of[name]].update(name, values)
                put(spec.chunk_key(chunk), encode_chunk(spec, values, codec=store.codec))
                yield spec, values
                if name == "rows/sh":
                    _check_ended(store, rows, chunk)
                done += 1
                tell("copy", done, total)
    for check in checks.values():
        check.refuse_faults(store.path)


def _check_ended(store: SceneStore, rows: BrickRows, chunk: int) -> None:
    """Check the bricks whose last coefficients lie in this chunk, which `rows` still holds."""
    size = store.specs["rows/sh"].chunk_shape[0]
    last_row = store.tables.row_start[1:] - 1
    first, after = np.searchsorted(last_row, (chunk * size, (chunk + 1) * size)).tolist()
    for brick in range(first, after):
        rows.check(brick)
