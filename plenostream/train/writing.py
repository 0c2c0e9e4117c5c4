"""A scene of the rows that are trained, and what may lie beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import InvalidInput, OutputError, printable
from plenostream.files.atomic import checked_output, writing
from plenostream.files.durable import try_folder
from plenostream.files.paths import PathLike, apart_from, local_path, url_of, without_secrets
from plenostream.format.digests import digest_of
from plenostream.format.extras import BackgroundMeta
from plenostream.format.layout import background_specs
from plenostream.format.staging import Staging
from plenostream.format.writer import encode_chunk
from plenostream.importers.arrays.boxes import BoxSource, BoxValues, VoxelBox
from plenostream.importers.arrays.making import DescribedSource, make_scene
from plenostream.importers.arrays.values import ValueForm
from plenostream.importers.packing.report import ConvertReport
from plenostream.options import Codec, ConvertOptions
from plenostream.results import Progress
from plenostream.train.layers import TrainedLayers
from plenostream.train.rows import TrainedRows
from plenostream.train.unit import TrainingUnit
from plenostream.train.voxel_set import ABSENT, VoxelSet

__all__ = ["check_outputs", "local_scene", "write_rows"]

_CODEC: Codec = "zstd"
_MOST = np.float32(np.finfo(np.float16).max)


def local_scene(target: PathLike) -> Path:
    """Where the scene of a training will be; raises InvalidInput for a URL, or no path."""
    url = url_of(target) if isinstance(target, str | os.PathLike) else None
    if url is not None:
        raise InvalidInput(
            f"{printable(without_secrets(url))} is a URL, and training writes its scene to a folder of this "
            "machine, again and again; name one, and copy the scene in the end"
        )
    return Path(os.path.realpath(local_path(target, what="scene")))


def check_outputs(
    outputs: Mapping[str, PathLike | None],
    target: PathLike,
    inputs: Mapping[str, PathLike],
    *,
    overwrite: bool,
) -> None:
    """Find out, before anything is learnt, whether files can be written when a training is over.

    Parameters
    ----------
    outputs : by what each is; None: not asked for
    target : the scene that is trained, in which nothing else may lie
    inputs : what is read, by what it is

    Raises
    ------
    InvalidInput, OutputError : as `checked_output`; a file would take the place of another, or lie in the
        scene; what the system says.
    """
    scene, taken = local_scene(target), dict(inputs)
    for what, path in outputs.items():
        if path is None:
            continue
        real = checked_output(path, overwrite=overwrite, what=what)
        if scene in (real, *real.parents):
            raise OutputError(
                f"{printable(os.fspath(path))} would lie in the scene that is trained; name another place for "
                f"the {what}"
            )
        apart_from([path], taken)
        with writing(path):
            try_folder(real.parent)
        taken[what] = path


def write_rows(
    target: PathLike,
    voxel_set: VoxelSet,
    rows: TrainedRows,
    unit: TrainingUnit,
    *,
    name: str,
    host_memory: int,
    overwrite: bool,
    progress: Progress,
    layers: TrainedLayers | None = None,
) -> ConvertReport:
    """Write the scene of rows, float16 as they were drawn, and of layers; raises as `write_scene`.

    Of the voxels those are stored that a picture can depend on; numbers beyond what float16 holds are the
    largest that it does.
    """
    background, arrays = None, []
    if layers is not None:
        links, texels = layers.kept()
        unit.world_densities(texels[..., 3])
        arrays = [links, texels]
        background = BackgroundMeta(
            height=links.shape[1],
            layers=texels.shape[1],
            n_rows=len(texels),
            digest=digest_of(arrays),
        )

    def opened(work: Staging, tell: Progress) -> BoxSource:
        specs = () if background is None else background_specs(background)
        for spec, values in zip(specs, arrays, strict=True):
            for chunk in range(spec.n_chunks):
                part = values[chunk * spec.chunk_shape[0] :][: spec.chunk_shape[0]]
                work.scene.put(spec.chunk_key(chunk), encode_chunk(spec, part, codec=_CODEC))
        return _RowBoxes(voxel_set, rows, unit)

    source = DescribedSource(
        name=name,
        form=ValueForm(basis_dim=rows.columns // 3, sh_dtype="float16"),
        open=opened,
        background=background,
    )
    # Stages are replaced soon; `plenostream levels` makes coarser levels of the last one.
    options = ConvertOptions(
        dtype="float16", codec=_CODEC, levels=0, host_memory=host_memory, overwrite=overwrite
    )
    return make_scene(target, unit.world_volume(voxel_set.grid), source, options, progress=progress)


class _RowBoxes:
    """A `BoxSource`: boxes of the voxels that have rows."""

    def __init__(self, voxel_set: VoxelSet, rows: TrainedRows, unit: TrainingUnit) -> None:
        self._rows, self._unit = rows, unit
        self._row_at = np.full(voxel_set.grid.size, ABSENT, np.int32)
        self._row_at.reshape(-1)[voxel_set.places] = np.arange(voxel_set.n_voxels, dtype=np.int32)

    def positive(self, box: VoxelBox) -> NDArray[np.bool_] | None:
        """See `BoxSource`."""
        found = self._row_at[box.slices]
        there = found != ABSENT
        there[there] = self._rows.density[found[there]] > 0.0
        return there if there.any() else None

    def values(self, box: VoxelBox) -> BoxValues:
        """See `BoxSource`."""
        found = self._row_at[box.slices]
        there = found != ABSENT
        density = np.zeros(found.shape, np.float32)
        colours = np.zeros((*found.shape, self._rows.columns), np.float32)
        # One number that ran away is not to cost the whole training.
        trained = np.clip(self._rows.density[found[there]], -_MOST, _MOST)
        density[there] = self._unit.world_densities(trained)
        colours[there] = np.clip(self._rows.sh[found[there]], -_MOST, _MOST)
        return BoxValues(density=density, colours=colours, given=there)
