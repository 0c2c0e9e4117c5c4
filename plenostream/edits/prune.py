"""`prune`: a scene without the voxels that matter least."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import Camera
from plenostream.edits.origins import (
    Origin,
    checked_options,
    make_edited,
    open_origin,
    require_memory,
)
from plenostream.edits.prune_report import PruneReport
from plenostream.edits.views import KeptPictures, Views, checked_views, unnamed_file
from plenostream.edits.voxels import SceneVoxels
from plenostream.engine.row_weights import RowWeights
from plenostream.engine.weighing import Weighing
from plenostream.errors import InvalidInput
from plenostream.files.paths import PathLike
from plenostream.format.opening import open_store
from plenostream.format.remote_staging import open_staging
from plenostream.importers.arrays.boxes import BoxSource, BoxValues, VoxelBox
from plenostream.importers.packing.report import ConvertReport
from plenostream.options import (
    PRUNE_DENSITY,
    PRUNE_WEIGHT,
    EditOptions,
    RenderOptions,
    StreamOptions,
)
from plenostream.results import Progress

__all__ = ["prune"]


def prune(
    scene: PathLike,
    target: PathLike,
    options: EditOptions | None = None,
    *,
    min_density: float | None = None,
    min_weight: float | None = None,
    cameras: Sequence[Camera] | None = None,
    render: RenderOptions | None = None,
    stream: StreamOptions | None = None,
    progress: Progress | None = None,
) -> PruneReport:
    """Write a scene without the voxels that are thin, or that no view sees much of.

    A voxel is kept, as it is, if it or one of the 26 around it counts: those whose density exceeds
    `min_density` (per world unit; 0 unless said), or, with `min_weight` in its place, whose largest
    weight over the views of `cameras` exceeds that (0 to 1). The weight of a sample, the share of its
    pixel's light that its colour is, is that of the eight voxels around it, as in svox2. So the cells
    of what counts stay as they are, and with 0 the pictures, of these views, are the same. What is
    left out is empty.

    Parameters
    ----------
    cameras : views that weights are taken from; of any pruning with cameras, the report says how far
        the pictures after it are from those before
    render, stream : how these are drawn. Unless said: as everywhere, on the CPU and, device and host
        together, within the edit's memory. Weights are kept by the backends native and warp

    Raises
    ------
    InvalidInput : a value against its rule; `min_density` beside `min_weight`; no cameras for that.
    DeviceError : a backend that keeps no weights.
    StoreNotFound, StoreFormat, BrickCorrupt, StoreExists, StoreError, OutputError, BudgetError : as
    for `crop`.
    """
    options = checked_options(options)
    if min_weight is not None:
        min_weight = PRUNE_WEIGHT.check("min_weight", min_weight)
        if min_density is not None or cameras is None:
            raise InvalidInput(
                "min_weight takes the place of min_density, and is a weight in the views of cameras"
            )
    least = PRUNE_DENSITY.check("min_density", 0.0 if min_density is None else min_density)
    views = checked_views(cameras, render, stream, options)
    origin = open_origin(scene, target)
    folder = open_staging(
        target, overwrite=options.overwrite
    ).folder.parent  # before anything is drawn
    tell: Progress = progress or (lambda step, done, total: None)

    def made(pruning: _Pruning) -> ConvertReport:
        return make_edited(
            target,
            origin.meta.grid,
            [origin],
            lambda scenes: pruning.source(scenes[0]),
            options,
            line=pruning.line,
            held_bytes=pruning.held_bytes,
            progress=progress,
        )

    if views is None:
        return PruneReport.of(made(_by_density(least)), psnr=())
    held = 0 if min_weight is None else origin.table_bytes
    require_memory(origin.meta.grid, [origin], options, held_bytes=held)
    with unnamed_file(folder) as pictures, unnamed_file(folder) as rows:
        kept = KeptPictures(views, pictures)
        if min_weight is None:
            with views.drawn(origin.path) as draw:
                kept.keep(draw, tell)
            report = made(_by_density(least))
        else:
            weights = _weighed(origin, views, kept, rows, tell)
            report = made(_by_weight(weights, min_weight, held))
        return PruneReport.of(report, psnr=kept.compare(Path(target), tell))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pruning:
    """What is kept of a scene."""

    line: str
    """The same in words."""
    source: Callable[[SceneVoxels], BoxSource]
    held_bytes: int = 0
    """Memory that finding out takes beside the scene's own."""


def _by_density(least: float) -> _Pruning:
    return _Pruning(
        line=f"prune to densities above {least!r} and their neighbours",
        source=lambda voxels: _Dense(voxels, least),
    )


def _by_weight(weights: RowWeights, least: float, held_bytes: int) -> _Pruning:
    return _Pruning(
        line=f"prune to weights above {least!r} (of views that gave {weights.digest()}) and their "
        "neighbours",
        source=lambda voxels: _Heavy(voxels, weights, least),
        held_bytes=held_bytes,
    )


def _weighed(
    origin: Origin, views: Views, kept: KeptPictures, file: BinaryIO, tell: Progress
) -> RowWeights:
    """Draw the views of a scene, with the weights of its rows."""
    with (
        views.budgeted(),
        open_store(origin.path) as store,
        Weighing(store, views.render, views.stream, file) as weighing,
    ):
        kept.keep(weighing.draw, tell)
        return weighing.weights()


class _Dense:
    """A `BoxSource`: a scene in which only densities above a threshold count."""

    def __init__(self, voxels: SceneVoxels, least: float) -> None:
        self._voxels, self._least = voxels, least

    def positive(self, box: VoxelBox) -> NDArray[np.bool_] | None:
        """See `BoxSource`."""
        if self._voxels.active(box) is None:
            return None
        dense: NDArray[np.bool_] = self._voxels.density(box) > self._least
        return dense if dense.any() else None

    def values(self, box: VoxelBox) -> BoxValues:
        """See `BoxSource`."""
        return self._voxels.values(box)


class _Heavy:
    """A `BoxSource`: a scene in which only voxels of a weight above a threshold count."""

    def __init__(self, voxels: SceneVoxels, weights: RowWeights, least: float) -> None:
        self._voxels, self._weights, self._least = voxels, weights, least

    def positive(self, box: VoxelBox) -> NDArray[np.bool_] | None:
        """See `BoxSource`; bricks that share a voxel may each have seen another weight."""
        found = np.zeros(box.shape, np.bool_)
        for brick, own, common in self._voxels.holders(box):
            heavy = np.zeros(own.shape, np.bool_)
            active = self._weights.active(brick).reshape(own.shape)
            heavy[active] = self._weights.of(brick) > self._least
            found[common.within(box)] |= heavy[common.within(own)]
        return found if found.any() else None

    def values(self, box: VoxelBox) -> BoxValues:
        """See `BoxSource`."""
        return self._voxels.values(box)
