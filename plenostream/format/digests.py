"""Digests that bind values to their places: xxh3-64 of their bytes, little endian."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from plenostream.format.layout import TABLES
from plenostream.format.table_sections import MOST_SECTIONS, PLACES, SECTIONED, TableSections

__all__ = [
    "ArraysDigest",
    "brick_digest",
    "digest_of",
    "sections_of",
    "tables_digest",
]

_WHOLE = 65_536
"""Bricks up to which all tables are read when a scene opens: 46 MB of them, in some 0.1 s."""


def brick_digest(
    index: NDArray[np.int32],
    mask: NDArray[np.uint8],
    density: NDArray[np.float32],
    sh: NDArray[np.float16] | NDArray[np.float32],
) -> int:
    """xxh3-64 of a brick's coordinates [3], mask bytes, densities [r] and coefficients [r, 3 dim].

    The bytes are little endian and in that order. Since the place is part of it, a chunk that is
    sound in itself but lies where another belongs does not pass.
    """
    digest = xxhash.xxh3_64()
    digest.update(np.ascontiguousarray(index, "<i4").data)
    digest.update(np.ascontiguousarray(mask, "u1").data)
    digest.update(np.ascontiguousarray(density, "<f4").data)
    digest.update(np.ascontiguousarray(sh, sh.dtype.newbyteorder("<")).data)
    return digest.intdigest()


def tables_digest(tables: Mapping[str, NDArray[Any]]) -> str:
    """xxh3-64 of the arrays in `bricks/` as 16 hexadecimal digits: all their bytes, little endian,
    one array after another in the order of `array_specs`.

    `tables` holds them by name; other names do not count. A chunk of a table that is sound in
    itself but lies where another belongs is found by this alone: no brick's digest covers the
    boxes and bounds, and wrong ones would hide bricks from a render.
    """
    return digest_of(tables[f"bricks/{name}"] for name in TABLES)


def digest_of(arrays: Iterable[NDArray[Any]]) -> str:
    """xxh3-64 of the bytes of arrays, little endian, one after another; 16 hexadecimal digits."""
    digest = ArraysDigest()
    for values in arrays:
        digest.update(values)
    return digest.hex


def sections_of(
    tables: Mapping[str, NDArray[Any]], per_section: int, *, whole: int | None = None
) -> TableSections | None:
    """The digests by which the arrays in `bricks/` can be read in sections of `per_section` bricks.

    None where they are read whole: with `whole` bricks or less (`_WHOLE`), or more than there is room for
    digests.
    """
    n_bricks = len(tables["bricks/index"])
    starts = range(0, n_bricks, per_section)
    if n_bricks <= (_WHOLE if whole is None else whole) or len(starts) > MOST_SECTIONS:
        return None
    sectioned = [tables[name][:n_bricks] for name in SECTIONED]
    return TableSections(
        places=digest_of(tables[name] for name in PLACES),
        sections=tuple(
            digest_of(a[start : start + per_section] for a in sectioned) for start in starts
        ),
    )


class ArraysDigest:
    """xxh3-64 of all values of one array after another, which come in pieces, in order."""

    def __init__(self) -> None:
        self._digest = xxhash.xxh3_64()

    def update(self, values: NDArray[Any]) -> None:
        """The values that come next."""
        whole = np.ascontiguousarray(values)
        self._digest.update(whole.astype(whole.dtype.newbyteorder("<"), copy=False).data)

    @property
    def hex(self) -> str:
        """16 hexadecimal digits."""
        return self._digest.hexdigest()
