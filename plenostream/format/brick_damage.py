"""Damage of single bricks: whether their rows are those that were written, and errors that name them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import BrickCorrupt
from plenostream.format.digests import brick_digest
from plenostream.format.reader import SceneStore
from plenostream.format.tables import BrickTables

__all__ = ["matches_digest", "naming_brick", "no_match"]


def matches_digest(
    tables: BrickTables, brick: int, density: NDArray[np.float32], sh: NDArray[Any]
) -> bool:
    """Whether densities [r] and coefficients [r, 3 dim] are all the rows of a brick, as written."""
    digest = brick_digest(tables.index[brick], tables.mask[brick], density, sh)
    return digest == int(tables.digest[brick])


def no_match(store: SceneStore, brick: int) -> BrickCorrupt:
    """The error for a brick that does not match its digest."""
    return BrickCorrupt(
        f"{store.path}: {_name(store.tables, brick)} does not match its digest: its rows are not "
        "those that were written there. Convert the checkpoint again, or copy the scene again from "
        "where it is whole.",
        brick_id=store.tables.scene_number(brick),
    )


def naming_brick(store: SceneStore, error: BrickCorrupt, bricks: NDArray[np.int64]) -> BrickCorrupt:
    """An error about a chunk, with the first of these bricks [k] that needs the chunk."""
    if error.array is None or error.chunk is None:
        return error
    chunk_rows = store.specs[error.array].chunk_shape[0]
    first, count = store.tables.rows_of(bricks)
    touches = (first < (error.chunk + 1) * chunk_rows) & (first + count > error.chunk * chunk_rows)
    brick = int(bricks[touches][0])
    return BrickCorrupt(
        f"{error} It holds rows of {_name(store.tables, brick)}.",
        array=error.array,
        chunk=error.chunk,
        brick_id=store.tables.scene_number(brick),
    )


def _name(tables: BrickTables, brick: int) -> str:
    place = ", ".join(map(str, tables.index[brick].tolist()))
    return f"brick {tables.scene_number(brick)} at ({place})"
