"""`convert_volume`: scenes from scalar volumes, by tables of opacities and colours."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import CheckpointError, InvalidInput, shown
from plenostream.field.grid import BrickGrid, GridSpec
from plenostream.files.paths import PathLike
from plenostream.format.layout import SLAB_BRICKS
from plenostream.importers.arrays.boxes import BoxValues, VoxelBox
from plenostream.importers.arrays.making import DescribedSource, make_scene
from plenostream.importers.arrays.sources import PositivePlanes, reading_edges
from plenostream.importers.arrays.transfer import (
    TransferTable,
    colour_table,
    density_of_opacity,
    opacity_table,
)
from plenostream.importers.arrays.values import ValueForm
from plenostream.importers.arrays.volume_files import Scalars, VolumeArray, open_volume
from plenostream.importers.packing.report import ConvertReport
from plenostream.options import ConvertOptions, VolumeOptions
from plenostream.results import Progress

__all__ = ["convert_volume"]


def convert_volume(
    source: PathLike,
    target: PathLike,
    volume: VolumeOptions,
    options: ConvertOptions | None = None,
    *,
    progress: Progress | None = None,
) -> ConvertReport:
    """Convert a volume of scalars, an ``.npy`` file or a Zarr array, into a scene at `target`.

    A voxel's scalar becomes an opacity and a colour by two tables; between voxels, these are
    interpolated. Opacity is the share of light that the length of a voxel's shortest edge takes.
    The middle of the volume is the world's origin.

    Raises
    ------
    InvalidInput : options that mean nothing; no opacities; a URL.
    CheckpointError : no volume that can be read, values that are not finite, a table that is none.
    StoreExists, StoreError, BudgetError : as for `write_scene`.
    """
    options = ConvertOptions() if options is None else options
    if not isinstance(options, ConvertOptions) or not isinstance(volume, VolumeOptions):
        raise InvalidInput(
            f"options are {shown(volume)} and {shown(options)}; expected VolumeOptions and "
            "ConvertOptions"
        )
    if volume.opacity is None:
        raise InvalidInput(
            "opacity is not said; a volume needs it: --opacity VALUE:OPACITY,VALUE:OPACITY,..."
        )
    opacity = opacity_table(volume.opacity)
    colour = colour_table(volume.colormap, opacity)
    array = open_volume(source)
    form = ValueForm(
        basis_dim=None, sh_dtype="float16" if options.dtype == "float16" else "float32"
    )
    turned = volume.axes == "zyx"
    x, y, z = reversed(array.size) if turned else array.size
    edges = volume.voxel_size or (2.0 / max(x, y, z),) * 3
    radius = tuple(0.5 * n * edge for n, edge in zip((x, y, z), edges, strict=True))
    grid = GridSpec(size=(x, y, z), radius=(radius[0], radius[1], radius[2]))
    bricks = BrickGrid(size=grid.size, brick_size=options.brick_size)
    classified = _Classified(array, turned, opacity, colour, min(edges))
    described = DescribedSource(
        name=os.path.basename(os.path.abspath(array.path)),
        form=form,
        open=lambda staging, tell: classified.source(bricks),
        n_bytes=int(np.prod(array.size, dtype=np.int64)) * array.dtype.itemsize,
        held_bytes=classified.source(bricks).planes.n_bytes,
        identity={
            "stamp": array.stamp,
            "axes": volume.axes,
            "tables": [
                table.tolist() for t in (opacity, colour) for table in (t.values, t.outputs)
            ],
        },
    )
    return make_scene(target, grid, described, options, progress=progress)


@dataclass(frozen=True, slots=True, eq=False)
class _Classified:
    """A volume and what its scalars mean."""

    array: VolumeArray
    turned: bool
    """The file's axes are z, y, x."""
    opacity: TransferTable
    colour: TransferTable
    edge: float
    """World length of a voxel's shortest edge."""

    def source(self, bricks: BrickGrid) -> _VolumeSource:
        return _VolumeSource(self, bricks)

    def scalars(self, box: VoxelBox) -> Scalars:
        """Scalars [x, y, z] of a box, finite."""
        x, y, z = box.slices
        values = self.array.read((z, y, x)).T if self.turned else self.array.read((x, y, z))
        if values.shape != box.shape:
            raise CheckpointError(f"{self.array.path} gives {values.shape} for {box}")
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            at = np.unravel_index(int(np.argmin(np.isfinite(values))), values.shape)
            voxel = tuple(int(a) + b for a, b in zip(at, box.lower, strict=True))
            raise CheckpointError(
                f"{self.array.path} has the value {values[at]} at voxel {voxel} (x, y, z); "
                "expected finite values"
            )
        return values

    def density(self, scalars: Scalars) -> NDArray[np.float32]:
        """Densities (per world unit) of scalars."""
        return density_of_opacity(self.opacity(scalars)[..., 0], self.edge)


class _VolumeSource:
    """A `BoxSource`: a volume, read twice where it is not empty."""

    def __init__(self, volume: _Classified, bricks: BrickGrid) -> None:
        self._volume = volume
        chunks = volume.array.chunks
        if chunks is not None and volume.turned:
            chunks = (chunks[2], chunks[1], chunks[0])
        self.planes = PositivePlanes(
            bricks.size,
            lambda box: volume.opacity(volume.scalars(box))[..., 0] > 0,
            edges=reading_edges(chunks, thickness=SLAB_BRICKS * bricks.brick_size),
        )

    def positive(self, box: VoxelBox) -> NDArray[np.bool_]:
        """See `BoxSource`."""
        return self.planes.within(box)

    def values(self, box: VoxelBox) -> BoxValues:
        """See `BoxSource`."""
        scalars = self._volume.scalars(box)
        colours = self._volume.colour(scalars).astype(np.float32)
        return BoxValues(density=self._volume.density(scalars), colours=colours)
