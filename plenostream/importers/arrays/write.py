"""`write_scene`: scenes from arrays, bricks and functions."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from plenostream.errors import InvalidInput, shown
from plenostream.field.basis import BASIS_DIMS
from plenostream.field.grid import BrickGrid, GridSpec
from plenostream.files.paths import PathLike
from plenostream.format.layout import SLAB_BRICKS
from plenostream.importers.arrays.making import DescribedSource, make_scene
from plenostream.importers.arrays.sources import ArraySource, FunctionSource, reading_edges
from plenostream.importers.arrays.spool import spool_bricks
from plenostream.importers.arrays.values import ValueForm
from plenostream.importers.packing.report import ConvertReport
from plenostream.options import ConvertOptions
from plenostream.results import Progress

__all__ = ["write_scene"]


def write_scene(
    path: PathLike,
    grid: GridSpec,
    source: Any,
    options: ConvertOptions | None = None,
    *,
    basis_dim: int | None = None,
    name: str | None = None,
    progress: Progress | None = None,
) -> ConvertReport:
    """Write a scene of any size at `path`, a folder or a URL of one, from voxels that `source` holds.

    Memory is bounded by `options.host_memory` (what a function or an array takes for itself is not
    counted), nothing that opens as a scene is there before everything is written, and the same
    voxels give the same bytes. Of the voxels those are stored that have a positive density or a
    neighbour with one: the picture is that of all of them. `options.resume` goes on with a writing
    that was cut off, and takes the caller's word that the source is the same.

    Parameters
    ----------
    grid : voxels an axis [X, Y, Z], and the place of the volume in the world
    source : one of
        (density, colours)
            arrays [X, Y, Z] (per world unit) and [X, Y, Z, c] of NumPy, Zarr or Dask, or of anything
            that gives parts of itself to three slices
        an array [X, Y, Z, 1 + c]
            the density first
        a function of two corners
            called with the lowest voxel of a box and the one after its highest, three integers
            each. It gives density [x, y, z] and colours [x, y, z, c] of the box; or None, where the
            box is empty; or ... (Ellipsis), to be asked about parts of it, down to a brick. Boxes
            are some 130 voxels wide, less where memory is short, and overlap by a voxel or two
        an iterable of bricks
            ``((i, j, k), density, colours)``, in any order, each once: the B^3 voxels from voxel
            (iB, jB, kB) on, fewer at the grid's upper ends. Bricks that are not given are empty
    options : None for the defaults. `dtype` auto keeps coefficients of arrays in float16 as they are
        and stores all others in float32
    basis_dim : None: colours are red, green and blue, 0 or more, 1 being white (c = 3). 1, 4, 9, 16 or
        25: they are coefficients of so many spherical harmonics, channel by channel (c = 3 basis_dim)
    name : of the source, for the scene's attributes
    progress : called with what is being done, how much of it is done, and how much there is

    Raises
    ------
    InvalidInput : arguments of another type; a source that gives another shape than that of the box,
    values that are not finite, colours below 0, or the same brick twice.
    CheckpointError : the source cannot be read.
    StoreExists : the target is there, and replacing it was not asked for.
    StoreError : it cannot be written, or there is not enough disk.
    BudgetError : the memory allowed is too small for boxes of a single brick, or for making levels: the
    latter is known before anything is written.
    """
    options = ConvertOptions() if options is None else options
    if not isinstance(options, ConvertOptions):
        raise InvalidInput(f"options is {shown(options)}; expected ConvertOptions")
    if not isinstance(grid, GridSpec):
        raise InvalidInput(f"grid is {shown(grid)}; expected a GridSpec")
    if basis_dim is not None and basis_dim not in BASIS_DIMS:
        raise InvalidInput(
            f"basis_dim is {shown(basis_dim)}; expected None (plain colours) or one of "
            f"{', '.join(map(str, BASIS_DIMS))}"
        )
    described = _described(source, grid, options, basis_dim, name)
    return make_scene(path, grid, described, options, progress=progress)


def _described(
    source: Any, grid: GridSpec, options: ConvertOptions, basis_dim: int | None, name: str | None
) -> DescribedSource:
    half = options.dtype == "float16"
    form = ValueForm(basis_dim=basis_dim, sh_dtype="float16" if half else "float32")
    bricks = BrickGrid(size=grid.size, brick_size=options.brick_size)
    pair = isinstance(source, tuple) and len(source) == 2 and all(map(_is_array, source))
    if pair or _is_array(source):
        return _of_arrays(source if pair else (source, None), bricks, form, name)
    if callable(source):
        return DescribedSource(
            name=name or "function",
            form=form,
            open=lambda staging, tell: FunctionSource(source, form),
        )
    if isinstance(source, Iterable) and not isinstance(source, str | bytes | dict):
        return DescribedSource(
            name=name or "bricks",
            form=form,
            open=lambda staging, tell: spool_bricks(
                source, bricks, form, staging.folder, tell=tell
            ),
        )
    raise InvalidInput(
        f"source is {shown(source)}; expected arrays (density, colours), an array of both, a function "
        "of a box, or an iterable of bricks"
    )


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype") and hasattr(value, "__getitem__")


def _of_arrays(
    arrays: tuple[Any, Any], bricks: BrickGrid, form: ValueForm, name: str | None
) -> DescribedSource:
    density, colours = arrays
    columns = form.columns
    expected = {
        "density": (density, bricks.size if colours is not None else (*bricks.size, 1 + columns)),
        "colours": (colours, (*bricks.size, columns)),
    }
    for what, (array, shape) in expected.items():
        if array is not None and tuple(array.shape) != shape:
            raise InvalidInput(
                f"the array of {what} has the shape {tuple(array.shape)}; expected {shape}"
            )
    held = [array for array in arrays if array is not None]
    if form.basis_dim is not None and held[-1].dtype == np.float16:
        form = ValueForm(basis_dim=form.basis_dim, sh_dtype="float16")
    thickness = SLAB_BRICKS * bricks.brick_size
    chunks = getattr(density, "shards", None) or getattr(density, "chunks", None)
    make = partial(
        ArraySource, density, colours, form, edges=reading_edges(chunks, thickness=thickness)
    )
    return DescribedSource(
        name=name or "arrays",
        form=form,
        open=lambda staging, tell: make(),
        n_bytes=sum(int(np.prod(a.shape, dtype=np.int64)) * a.dtype.itemsize for a in held),
        held_bytes=make().planes.n_bytes,
        identity={"types": [str(array.dtype) for array in held]},
    )
