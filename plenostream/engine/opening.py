"""From a scene and options to a session: which numbers, which integrator, what is refused."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from plenostream.engine.row_weights import RowWeights
from plenostream.engine.session import Session, sample_rule, scene_shape
from plenostream.errors import InvalidInput
from plenostream.field.grid import GridSpec
from plenostream.field.precision import ChosenPrecision, choose_precision, density_unit
from plenostream.format.extra_arrays import basis_of
from plenostream.format.reader import SceneStore
from plenostream.integrator.backends import ChosenBackend, Terms, open_integrator
from plenostream.options import RenderOptions, StreamOptions
from plenostream.plan import bricks_within, build_boxes

__all__ = ["open_session"]

_MOST_SAMPLES = 1 << 22
"""Samples on a ray that an integrator can tell apart: their numbers are made in float32."""


def open_session(
    store: SceneStore,
    options: RenderOptions,
    stream: StreamOptions,
    weights: RowWeights | None = None,
    *,
    within: NDArray[np.int64] | None = None,
    differentiate: bool = False,
    leaving_bytes: int = 0,
    back_ray_bytes: int = 0,
) -> tuple[Session, ChosenPrecision, ChosenBackend]:
    """Everything that drawing a scene, or a level of one, takes; allocates nothing on the device.

    With `weights`, those of samples are kept there; `differentiate` as in `SampleRule`, and what
    that takes as in `Session`. Of the scene's bricks, those `within` a box [2, 3] of brick coordinates
    (first, and one past the last) are drawn, and all of them stay on the device; where it is None, any
    may be drawn and leave.

    Raises
    ------
    BudgetError, DeviceError : see `open_integrator`. InvalidInput : the step is too short for the grid, or
    the scene has numbers that the precision asked for does not hold.
    """
    root = store.root
    meta, tables = store.meta, store.tables
    _check_step(meta.grid, options.step_size)
    density_unit(meta.grid)  # refuses what float32 does not hold
    precision = choose_precision(
        stream.precision,
        sh_bound=tables.sh_bound[tables.occupied],
        basis_bound=root.meta.basis_bound,
        sh_dtype=meta.sh_dtype,
        threshold=options.sigma_thresh * options.step_size / float(meta.grid.scale.min()),
    )
    drawn = tables.occupied
    if within is not None:
        drawn = drawn & bricks_within(tables.index, within)
    table = build_boxes(tables.index, tables.boxes, drawn, meta.bricks)
    scene = scene_shape(store, table, basis_of(root))
    terms = Terms(
        scene=scene,
        rule=sample_rule(
            options, meta.grid, weigh=weights is not None, differentiate=differentiate
        ),
        precision=precision.name,
        device=stream.device,
        allowed_bytes=stream.device_bytes,
        n_threads=stream.n_threads,
    )
    integrator, backend = open_integrator(stream.backend, terms)
    session = Session(
        store,
        options,
        table,
        scene,
        integrator,
        host_bytes=stream.host_bytes,
        weights=weights,
        resident=within is not None,
        leaving_bytes=leaving_bytes,
        back_ray_bytes=back_ray_bytes,
    )
    return session, precision, backend


def _check_step(grid: GridSpec, step_size: float) -> None:
    diagonal = math.hypot(*grid.size)
    if diagonal / step_size >= _MOST_SAMPLES:
        least = diagonal / _MOST_SAMPLES
        raise InvalidInput(
            f"step_size is {step_size}; in a grid of {grid.size} voxels it must be above {least:.2g}"
        )
