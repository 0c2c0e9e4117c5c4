"""Scenes as arrays, and arrays as scenes, by ways that edits do not take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plenostream.format.opening import open_store
from plenostream.format.verify import verify
from plenostream.testing.checkpoints import CheckpointArrays, from_dense
from plenostream.testing.scenes import write_checkpoint_plain

Dense = tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]


def dense(checkpoint: CheckpointArrays) -> Dense:
    """Active voxels [X, Y, Z], densities and coefficients [X, Y, Z, c], 0 where there is none."""
    active = checkpoint.links >= 0
    density = np.where(active, checkpoint.density[checkpoint.links], 0.0)
    sh = np.where(active[..., None], checkpoint.sh[checkpoint.links], 0.0)
    return active, density, sh


def assert_holds(scene: Path, expected: CheckpointArrays, tmp_path: Path, brick_size: int) -> None:
    """A scene is whole, and its tables and rows are those of `expected`, byte by byte."""
    report = verify(scene)
    assert report.ok, report.lines()
    plain = tmp_path / "expected.zarr"
    write_checkpoint_plain(plain, expected, brick_size=brick_size)
    with open_store(scene) as one, open_store(plain) as other:
        assert one.meta.grid.size == other.meta.grid.size
        np.testing.assert_allclose(one.meta.grid.scale, other.meta.grid.scale, rtol=1e-12)
        np.testing.assert_allclose(one.meta.grid.offset, other.meta.grid.offset, rtol=0, atol=1e-9)
        for name in other.specs:
            np.testing.assert_array_equal(one.read_array(name), other.read_array(name), name)


def part_of(checkpoint: CheckpointArrays, lower: list[int], upper: list[int]) -> CheckpointArrays:
    """The same voxels in the same grid, without those outside [lower, upper)."""
    active, density, sh = dense(checkpoint)
    inside = np.zeros(active.shape, np.bool_)
    inside[tuple(map(slice, lower, upper))] = True
    return from_dense(
        active & inside, density, sh, radius=checkpoint.radius, center=checkpoint.center
    )


def cut_out(checkpoint: CheckpointArrays, lower: list[int], upper: list[int]) -> CheckpointArrays:
    """The voxels [lower, upper) as a grid of their own, where they lie in the world."""
    part = tuple(map(slice, lower, upper))
    active, density, sh = (values[part] for values in dense(checkpoint))
    size, radius = np.array(checkpoint.size), np.array(checkpoint.radius)
    edge = 2 * radius / size
    low = np.array(checkpoint.center) - radius + np.array(lower) * edge
    high = np.array(checkpoint.center) - radius + np.array(upper) * edge
    return from_dense(
        active,
        density,
        sh,
        radius=tuple((0.5 * (high - low)).tolist()),
        center=tuple((0.5 * (high + low)).tolist()),
    )
