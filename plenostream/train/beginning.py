"""What training begins with: a volume full of voxels, or a scene."""

from __future__ import annotations

from dataclasses import dataclass

from plenostream.field.grid import GridSpec
from plenostream.files.paths import PathLike
from plenostream.format.extras import BackgroundMeta
from plenostream.format.opening import open_store
from plenostream.options import TrainOptions
from plenostream.train.layers import layers_bytes
from plenostream.train.schedule import stages_of

__all__ = ["Beginning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """The scene as it is before the first step."""

    volume: GridSpec
    """Where it lies, in voxels as it is to have in the end."""
    size: tuple[int, int, int]
    """Voxels an axis that it begins with."""
    n_voxels: int
    """Voxels that have a row."""
    columns: int
    """Coefficients of a voxel."""
    layers: BackgroundMeta | None
    """Background layers that it has."""

    @classmethod
    def of(cls, start: PathLike | None, options: TrainOptions) -> Beginning:
        """The scene `start`, or the first stage of a new one.

        Raises StoreNotFound, StoreFormat and others that `open_store` raises."""
        if start is not None:
            with open_store(start) as store:
                meta = store.meta
                return cls(
                    volume=meta.grid,
                    size=meta.grid.size,
                    n_voxels=meta.n_voxels,
                    columns=meta.sh_columns,
                    layers=meta.background,
                )
        edge, least = options.size, stages_of(options.size)[0]
        return cls(
            volume=GridSpec(size=(edge, edge, edge), radius=options.radius, center=options.center),
            size=(least, least, least),
            n_voxels=least**3,
            columns=3 * options.basis_dim,
            layers=None,
        )

    def layers_bytes(self, options: TrainOptions) -> int:
        """Memory of the layers that are trained, its own in the first place."""
        height, n_layers = options.background_resolution, options.background_layers
        n_rows, squares = 2 * height * height, options.optimiser == "rmsprop"
        own = self.layers
        if own is not None and own.n_rows:
            height, n_layers, n_rows = own.height, own.layers, own.n_rows
        return layers_bytes(n_rows, height, n_layers, squares=squares) if n_layers else 0
