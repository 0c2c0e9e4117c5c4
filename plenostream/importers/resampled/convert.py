"""Foreign models in, scenes out: only when an approximation is asked for."""

from __future__ import annotations

import os

from plenostream.errors import CheckpointError, InvalidInput, shown
from plenostream.files.paths import PathLike, input_file, local_path
from plenostream.files.zip_entries import ZipError, read_entries
from plenostream.importers.arrays.making import DescribedSource, make_scene
from plenostream.importers.arrays.sources import FunctionSource
from plenostream.importers.arrays.values import ValueForm
from plenostream.importers.packing.report import ConvertReport
from plenostream.importers.resampled.jax_grid import is_jax_grid, open_jax_grid
from plenostream.importers.resampled.model import ForeignFile, ForeignModel
from plenostream.importers.resampled.octree import OCTREE_MEMBERS, open_octree
from plenostream.importers.svox2.unpacking import METHODS
from plenostream.options import ConvertOptions, ResampleOptions
from plenostream.results import Progress

__all__ = ["convert_foreign", "open_foreign"]

_MAX_DIRECTORY_BYTES = 1 << 18


def open_foreign(path: PathLike, *, radius: float | None = None) -> ForeignFile | None:
    """The model of another program at `path`, or None where it is none that is known here.

    `radius` as in ResampleOptions.

    Raises
    ------
    InvalidInput : no path, a URL; a radius for a model that has its own.
    CheckpointError : it is one, and damaged, hostile, or of a kind that is not read.
    """
    place = local_path(path, what="checkpoint")
    if is_jax_grid(place):
        return open_jax_grid(os.fspath(place), radius=radius)
    if not os.path.isfile(place):
        return None
    try:
        entries = read_entries(place, methods=METHODS, directory_bytes=_MAX_DIRECTORY_BYTES)
    except (ZipError, OSError):
        return None  # who reads checkpoints says what it is
    if not OCTREE_MEMBERS <= set(entries):
        return None
    if radius is not None:
        raise InvalidInput(f"radius is {radius:g}, and {place} has its own")
    return open_octree(os.fspath(input_file(place, what="checkpoint", error=CheckpointError)))


def convert_foreign(
    source: PathLike,
    target: PathLike,
    resample: ResampleOptions,
    options: ConvertOptions | None = None,
    *,
    progress: Progress | None = None,
) -> tuple[ConvertReport, ForeignModel]:
    """Resample a model of another program (a PlenOctree, Plenoxels in JAX) into a scene at `target`.

    Returns the report, and the model: `model.see(origins, dirs)` is its picture by the rules of its
    own program, to compare the scene's with.

    Raises
    ------
    InvalidInput : options of another type, a URL.
    CheckpointError : not such a model, damaged; or `resample.approximate` is not set: no scene has
    exactly its picture.
    StoreExists, StoreError, BudgetError : as for `write_scene`; a PlenOctree is held in memory.
    """
    options = ConvertOptions() if options is None else options
    if not isinstance(options, ConvertOptions) or not isinstance(resample, ResampleOptions):
        raise InvalidInput(
            f"options are {shown(resample)} and {shown(options)}; expected ResampleOptions and "
            "ConvertOptions"
        )
    file = open_foreign(source, radius=resample.radius)
    if file is None:
        raise CheckpointError(f"{os.fspath(source)} is no model that can be resampled")
    if not resample.approximate:
        raise CheckpointError(
            f"{file.path} is {file.kind}, so no scene has exactly its picture; --approximate "
            "resamples it, and says how far the picture is from its own"
        )
    form = ValueForm(
        basis_dim=file.basis_dim, sh_dtype="float16" if options.dtype == "float16" else "float32"
    )
    model: list[ForeignModel] = []

    def load() -> ForeignModel:
        if not model:
            model.append(file.load())
        return model[0]

    described = DescribedSource(
        name=os.path.basename(os.path.abspath(file.path)),
        form=form,
        open=lambda staging, tell: FunctionSource(load().box, form),
        n_bytes=file.stamp[0],
        held_bytes=file.held_bytes,
        identity={"stamp": file.stamp},
    )
    report = make_scene(target, file.grid, described, options, progress=progress)
    return report, load()
