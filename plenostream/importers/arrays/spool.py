"""Bricks that an iterator gives, in any order, kept on disk until boxes of them are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import InvalidInput, shown
from plenostream.field.grid import BrickGrid
from plenostream.files import durable
from plenostream.files.durable import write_atomically
from plenostream.importers.arrays.boxes import BoxValues, Triple, VoxelBox
from plenostream.importers.arrays.sources import reading
from plenostream.importers.arrays.values import ValueForm
from plenostream.importers.packing.rowfile import RowTable
from plenostream.results import Progress

__all__ = ["BrickSource", "spool_bricks"]

_INDEX = "bricks.i32"
_VALUES = "bricks.f32"


def spool_bricks(
    given: Iterable[Any], bricks: BrickGrid, form: ValueForm, work: Path, *, tell: Progress
) -> BrickSource:
    """Write all bricks that `given` yields into `work`, unless that is done already.

    Each is ``((i, j, k), density, colours)``: the voxels from (iB, jB, kB) on, B an axis, fewer at
    the grid's upper ends.

    Raises
    ------
    InvalidInput : something else, a brick outside the grid, or one that was given before.
    """
    done = work / _INDEX
    if not done.exists():
        index: dict[Triple, None] = {}
        values = work / _VALUES
        with open(values, "wb") as file:
            for box, brick, density, colours in _checked(given, bricks, form):
                if brick in index:
                    raise InvalidInput(f"the source gives brick {brick} twice")
                index[brick] = None
                whole = np.zeros((bricks.brick_size,) * 3 + (1 + form.columns,), np.float32)
                x, y, z = map(slice, box.shape)
                whole[x, y, z, 0], whole[x, y, z, 1:] = density, colours
                file.write(whole.data)
                tell("bricks", len(index), len(index))
        durable.flush_file(values)
        write_atomically(done, np.array(list(index), np.int32).reshape(-1, 3).tobytes())
    return BrickSource(bricks, form, work)


def _checked(
    given: Iterable[Any], bricks: BrickGrid, form: ValueForm
) -> Iterator[tuple[VoxelBox, Triple, NDArray[np.float32], NDArray[np.float32]]]:
    edge = bricks.brick_size
    n_bricks = tuple(-(-n // edge) for n in bricks.size)
    items = iter(given)
    while (item := reading(lambda: next(items, None))) is not None:
        try:
            where, density, colours = item
            i, j, k = (int(n) for n in where)
        except (TypeError, ValueError) as error:
            raise InvalidInput(
                f"the source gives {shown(item)}; expected ((i, j, k), density, colours)"
            ) from error
        if not all(0 <= n < most for n, most in zip((i, j, k), n_bricks, strict=True)):
            raise InvalidInput(
                f"the source gives brick {(i, j, k)}; the grid has {n_bricks} of {edge} voxels"
            )
        lower = (i * edge, j * edge, k * edge)
        x, y, z = (min(a + edge, n) for a, n in zip(lower, bricks.size, strict=True))
        box = VoxelBox(lower, (x, y, z))
        values = form.checked(density, colours, box)
        yield box, (i, j, k), values.density, values.colours


class BrickSource:
    """A `BoxSource`: the bricks that were written down."""

    def __init__(self, bricks: BrickGrid, form: ValueForm, work: Path) -> None:
        self._edge, self._columns = bricks.brick_size, 1 + form.columns
        index = np.fromfile(work / _INDEX, np.int32).reshape(-1, 3)
        self._number = {(i, j, k): n for n, (i, j, k) in enumerate(index.tolist())}
        self._table = RowTable(
            path=str(work / _VALUES), offset=0, dtype="<f4", columns=self._columns
        )
        self._asked: tuple[VoxelBox, BoxValues] | None = None

    def positive(self, box: VoxelBox) -> NDArray[np.bool_] | None:
        """See `BoxSource`."""
        edge = self._edge
        ranges = [
            range(a // edge, -(-b // edge)) for a, b in zip(box.lower, box.upper, strict=True)
        ]
        held = [
            (brick, self._number[brick])
            for brick in ((i, j, k) for i in ranges[0] for j in ranges[1] for k in ranges[2])
            if brick in self._number
        ]
        if not held:
            return None
        values = np.zeros((*box.shape, self._columns), np.float32)
        given = np.zeros(box.shape, np.bool_)
        for brick, number in held:
            i, j, k = brick
            lower = (i * edge, j * edge, k * edge)
            whole = VoxelBox(lower, (lower[0] + edge, lower[1] + edge, lower[2] + edge))
            common = whole.common(box)
            rows = self._table.read(
                np.array([number * edge**3]), np.array([(number + 1) * edge**3])
            )
            part = rows.reshape(edge, edge, edge, self._columns)[common.within(whole)]
            values[common.within(box)] = part
            given[common.within(box)] = True
        asked = BoxValues(density=values[..., 0], colours=values[..., 1:], given=given)
        self._asked = box, asked
        return asked.density > 0

    def values(self, box: VoxelBox) -> BoxValues:
        """See `BoxSource`."""
        assert self._asked is not None
        outer, values = self._asked
        assert values.given is not None
        part = box.within(outer)
        return BoxValues(
            density=values.density[part], colours=values.colours[part], given=values.given[part]
        )
