"""Derivatives of a linear loss of rays by a checkpoint's rows: by an integrator, and by definition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from plenostream import reference
from plenostream.engine import opening
from plenostream.engine.rays import RaysJob
from plenostream.engine.session import Session
from plenostream.engine.way_back import WayBack, loss_of_rays, open_back_session
from plenostream.format.opening import open_store
from plenostream.format.reader import SceneStore
from plenostream.integrator import backends
from plenostream.integrator.backends import ChosenBackend, Terms
from plenostream.integrator.interface import Integrator, RowDerivatives
from plenostream.options import RenderOptions, StreamOptions
from plenostream.results import FrameStats
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.plain import PlainIntegrator

__all__ = ["Dense", "LinearLoss", "back_session", "go_back", "value"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LinearLoss:
    """The sum of what n rays see, times numbers of their own: its derivatives are these numbers."""

    origins: Floats
    directions: Floats
    """[n, 3] world, both."""
    by_rgb: NDArray[np.float32]
    """[n, 3]"""
    by_alpha: NDArray[np.float32]
    """[n], of the volume's own alpha."""
    sparsity: float = 0.0

    @classmethod
    def random(cls, seed: int, rays: tuple[Floats, Floats], sparsity: float = 0.0) -> LinearLoss:
        """Of numbers about 1."""
        rng = np.random.default_rng(seed)
        numbers = rng.normal(0.0, 1.0, (len(rays[0]), 4)).astype(np.float32)
        return cls(*rays, numbers[:, :3].copy(), numbers[:, 3].copy(), sparsity)


class Dense(NamedTuple):
    """Derivatives by voxels: of those that lie in several bricks, the sums."""

    density: Floats
    """[X, Y, Z]"""
    sh: Floats
    """[X, Y, Z, 3 K]"""

    @classmethod
    def zeros(cls, store: SceneStore) -> Dense:
        size = store.meta.grid.size
        return cls(np.zeros(size), np.zeros((*size, store.meta.sh_columns)))

    def add(self, store: SceneStore, bricks: NDArray[np.int64], found: RowDerivatives) -> None:
        """Add those by the rows of bricks."""
        meta, tables, start = store.meta, store.tables, 0
        for brick in bricks.tolist():
            bits = np.unpackbits(tables.mask[brick], bitorder="little", count=meta.bricks.voxels)
            local = np.argwhere(bits.reshape((meta.bricks.edge,) * 3))
            mine = found.rows(start, start := start + len(local))
            place = tuple((local + tables.index[brick] * meta.brick_size).T)
            self.density[place] += mine.density
            self.sh[place] += mine.sh


@contextmanager
def back_session(
    scene: Path, options: Mapping[str, Any], backend: str, **stream: Any
) -> Iterator[Session]:
    """A session that differentiates; `plain` is a backend, too."""
    opened = backends.open_integrator

    def open_plain(_: str, terms: Terms) -> tuple[Integrator, ChosenBackend]:
        allowed = terms.allowed_bytes or 10**9
        return PlainIntegrator(terms.scene, terms.rule, allowed_bytes=allowed), ChosenBackend(
            "plain"
        )

    opens = open_plain if backend == "plain" else opened
    named: dict[str, Any] = {} if backend == "plain" else {"backend": backend}
    device = None if backend == "warp" else "cpu"  # a GPU, where there is one
    with (
        open_store(scene) as store,
        patch.object(opening, "open_integrator", opens),
    ):
        session = open_back_session(
            store, RenderOptions(**options), StreamOptions(device=device, **named, **stream)
        )
        try:
            yield session
        finally:
            session.close()


def go_back(
    session: Session,
    loss: LinearLoss,
    by_texels: NDArray[np.float32] | None = None,
    *,
    collect: bool = True,
) -> tuple[Dense, FrameStats]:
    """Derivatives of `loss`, and what they cost; without `collect`, those in the pool stay there."""
    found = Dense.zeros(session.store)

    def of_rays(
        rays: NDArray[np.int64], rgb: NDArray[np.float32], alpha: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return loss.by_rgb[rays], loss.by_alpha[rays]

    way = WayBack(
        session,
        loss_of_rays(of_rays),
        lambda bricks, rows: found.add(session.store, bricks, rows),
        sparsity=loss.sparsity,
        by_texels=by_texels,
    )
    job = RaysJob(session, loss.origins, loss.directions)
    _, stats = job.draw(turn=way.turn)
    if collect:
        way.collect()
    return found, stats


def value(
    loss: LinearLoss,
    checkpoint: CheckpointArrays,
    extras: Mapping[str, NDArray[Any]] | None = None,
    *,
    density: Floats | float = 0.0,
    sh: Floats | float = 0.0,
    **options: Any,
) -> float:
    """The loss in float64, by the oracle, with `density` [n] and `sh` [n, 3 K] added to the rows. Alpha is
    that of the volume with its layers; sparsity is left out."""
    model = reference.make_model(
        checkpoint.links,
        checkpoint.density.astype(float) + density,
        checkpoint.sh.astype(float) + sh,
        radius=checkpoint.radius,
        center=checkpoint.center,
        extras=extras,
    )
    seen = reference.render_rays(model, loss.origins, loss.directions, **options)
    return float((seen.rgb * loss.by_rgb).sum() - (seen.trans * loss.by_alpha).sum())
