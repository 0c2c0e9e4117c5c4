"""Sources of voxels: arrays, and functions of a box."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import EllipsisType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import CheckpointError, InvalidInput, shown
from plenostream.importers.arrays.boxes import BoxValues, Triple, VoxelBox
from plenostream.importers.arrays.values import ValueForm

__all__ = [
    "ArraySource",
    "BoxFunction",
    "FunctionSource",
    "PositivePlanes",
    "reading",
    "reading_edges",
]

_Read = TypeVar("_Read")
BoxFunction = Callable[[Triple, Triple], Any]
"""Given the lowest voxel of a box and the one after its highest: None (empty), Ellipsis (to be asked
in smaller boxes), or density [x, y, z] and colours [x, y, z, c]."""


def reading(read: Callable[[], _Read]) -> _Read:
    """What `read` gives; CheckpointError where the system refuses.

    An OSError of its own would be taken for one of the disk that is written to.
    """
    try:
        return read()
    except OSError as error:
        raise CheckpointError(f"the source cannot be read: {error}") from error


class FunctionSource:
    """A function of a box, which is asked once for each box that it answers."""

    def __init__(self, function: BoxFunction, form: ValueForm) -> None:
        self._function, self._form = function, form
        self._asked: tuple[VoxelBox, BoxValues] | None = None

    def positive(self, box: VoxelBox) -> NDArray[np.bool_] | EllipsisType | None:
        """See `BoxSource`."""
        answer = reading(lambda: self._function(box.lower, box.upper))
        if answer is None or answer is Ellipsis:
            return answer
        if not isinstance(answer, tuple | list) or len(answer) != 2:
            raise InvalidInput(
                f"the source gives {shown(answer)} for {box}; expected densities and colours, "
                "None (empty), or ... (to be asked in smaller boxes)"
            )
        density, colours = answer
        values = self._form.checked(density, colours, box)
        self._asked = box, values
        return values.density > 0

    def values(self, box: VoxelBox) -> BoxValues:
        """See `BoxSource`."""
        assert self._asked is not None
        outer, values = self._asked
        part = box.within(outer)
        return BoxValues(density=values.density[part], colours=values.colours[part])


class PositivePlanes:
    """Which voxels of an array have a positive density: bits of the planes that are asked about.

    Planes are asked for from front to back, and each box of the array is read once.
    """

    def __init__(
        self, size: Triple, read: Callable[[VoxelBox], NDArray[np.bool_]], *, edges: Triple
    ) -> None:
        self._size, self._read, self._edges = size, read, edges
        self._planes: dict[int, NDArray[np.uint8]] = {}

    @property
    def n_bytes(self) -> int:
        """Bytes that are held at most: the planes of two boxes, and those before."""
        return (2 * self._edges[0] + 2) * self._size[1] * -(-self._size[2] // 8)

    def within(self, box: VoxelBox) -> NDArray[np.bool_]:
        """Positive voxels of a box, [x, y, z]."""
        x0, x1 = box.lower[0], box.upper[0]
        for x in [x for x in self._planes if x < x0]:
            del self._planes[x]
        for x in range(x0, x1):
            if x not in self._planes:
                self._read_planes(x - x % self._edges[0], first=x0)
        y, z = box.slices[1:]
        bits = np.stack([self._planes[x][y] for x in range(x0, x1)])
        lines = np.unpackbits(bits, axis=2, count=self._size[2])
        return lines[:, :, z].view(np.bool_)

    def _read_planes(self, x0: int, *, first: int) -> None:
        """Read planes [x0, x0 + edge), but for those before `first`."""
        size_x, size_y, size_z = self._size
        _, edge_y, edge_z = self._edges
        start, x1 = max(x0, first), min(x0 + self._edges[0], size_x)
        line = -(-size_z // 8)
        planes = np.zeros((x1 - start, size_y, line), np.uint8)
        for y0 in range(0, size_y, edge_y):
            y1 = min(y0 + edge_y, size_y)
            for z0 in range(0, size_z, edge_z):  # edges are multiples of 8
                z1 = min(z0 + edge_z, size_z)
                positive = self._read(VoxelBox((start, y0, z0), (x1, y1, z1)))
                bits = np.packbits(positive, axis=2)
                planes[:, y0:y1, z0 // 8 : z0 // 8 + bits.shape[2]] = bits
        self._planes.update(zip(range(start, x1), planes, strict=True))


class ArraySource:
    """Arrays of NumPy, Zarr or Dask, or anything that slices give parts of.

    Densities are read twice, once for where they are positive and once where there is something,
    and colours once: reading around each box would decode the chunks of an array many times.
    """

    def __init__(self, density: Any, colours: Any, form: ValueForm, *, edges: Triple) -> None:
        """`colours` None: `density` [X, Y, Z, 1 + c] holds both."""
        self._density, self._colours, self._form = density, colours, form
        x, y, z = density.shape[:3]
        self.planes = PositivePlanes((x, y, z), self._positive, edges=edges)

    def _positive(self, box: VoxelBox) -> NDArray[np.bool_]:
        part = box.slices if self._colours is not None else (*box.slices, 0)
        density = reading(lambda: np.asarray(self._density[part]))
        positive: NDArray[np.bool_] = self._form.density(density, box) > 0
        return positive

    def positive(self, box: VoxelBox) -> NDArray[np.bool_]:
        """See `BoxSource`."""
        return self.planes.within(box)

    def values(self, box: VoxelBox) -> BoxValues:
        """See `BoxSource`."""
        density = reading(lambda: np.asarray(self._density[box.slices]))
        if self._colours is None:
            return self._form.checked(density[..., 0], density[..., 1:], box)
        colours = reading(lambda: np.asarray(self._colours[box.slices]))
        return self._form.checked(density, colours, box)


_MOST_READ = 4_000_000
"""Voxels that are read at a time."""


def reading_edges(chunks: Any, *, thickness: int) -> Triple:
    """Edges of the boxes in which an array is read: whole chunks, where it has some and these fit.

    Parameters
    ----------
    chunks : lengths of chunks along the axes, by Zarr or by Dask, which lists them all; None: none
    thickness : planes that are worth reading at a time
    """
    edges = [
        max(chunk) if isinstance(chunk, tuple) else chunk for chunk in (chunks or (8, 8, 8))[:3]
    ]
    edges[2] = math.lcm(edges[2], 8)
    least = (thickness, 128, 128)
    x, y, z = (-(-want // edge) * edge for want, edge in zip(least, edges, strict=True))
    while x * y * z > _MOST_READ and max(x, y, z) > 8:
        # Chunks this large are decoded several times.
        x, y, z = (n if n < max(x, y, z) else -(-n // 16) * 8 for n in (x, y, z))
    return x, y, z
