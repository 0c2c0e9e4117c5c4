"""A scene of copies is the scene that a conversion of the copied checkpoint would have made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import plenostream as ps
from plenostream.bench.tile_scene import copy_offset, tile_scene
from plenostream.errors import InvalidInput
from plenostream.testing.checkpoints import CheckpointArrays, from_dense, gyroid_checkpoint

COPIES = 2
MakeScene = Callable[..., Path]


def copied(one: CheckpointArrays) -> CheckpointArrays:
    """The checkpoint of `COPIES` copies an axis."""
    n_rows = len(one.density)
    size = np.array(one.links.shape)
    links = np.full(size * COPIES, -1, np.int32)
    places = np.ndindex(COPIES, COPIES, COPIES)
    for number, place in enumerate(places):
        at = tuple(slice(p * n, (p + 1) * n) for p, n in zip(place, size, strict=True))
        links[at] = np.where(one.links >= 0, one.links + number * n_rows, -1)
    x, y, z = (r * COPIES for r in one.radius)
    return replace(
        one,
        links=links,
        density=np.tile(one.density, COPIES**3),
        sh=np.tile(one.sh, (COPIES**3, 1)),
        radius=(x, y, z),
    )


@pytest.fixture(scope="module")
def framed() -> CheckpointArrays:
    """A gyroid whose outermost voxels are empty."""
    whole = gyroid_checkpoint(size=(32, 32, 32), density=400.0)
    links = np.full_like(whole.links, -1)
    inner = (slice(1, -1),) * 3
    links[inner] = whole.links[inner]
    return replace(whole, links=links)


@pytest.fixture(scope="module")
def tiled(
    framed: CheckpointArrays, make_scene: MakeScene, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    target = tmp_path_factory.mktemp("tiled") / "tiled.zarr"
    tile_scene(make_scene(framed), target, copies=COPIES, n_threads=2)
    return target


def files(scene: Path) -> dict[str, bytes]:
    """Content of all files but the attributes, which say what was converted."""
    found = {
        path.relative_to(scene).as_posix(): path for path in scene.rglob("*") if path.is_file()
    }
    return {name: path.read_bytes() for name, path in found.items() if name != "zarr.json"}


def test_every_file_is_that_of_a_conversion(
    framed: CheckpointArrays, tiled: Path, make_scene: MakeScene
) -> None:
    assert files(tiled) == files(make_scene(copied(framed)))


def test_scene_of_copies_is_whole(tiled: Path) -> None:
    assert ps.verify(tiled).ok


def test_voxels_of_a_copy_are_where_its_offset_says(framed: CheckpointArrays, tiled: Path) -> None:
    with ps.open_scene(tiled) as scene:
        whole = scene.grid
    place, voxel = (1, 0, 1), np.array([3.0, 5.0, 7.0])
    offset = copy_offset(framed.grid, COPIES, place)
    in_whole = voxel + np.array(place) * np.array(framed.grid.size)
    np.testing.assert_allclose(
        whole.grid_to_world(in_whole), framed.grid.grid_to_world(voxel) + offset, atol=1e-12
    )


def test_copies_that_would_touch_are_refused(tmp_path: Path, make_scene: MakeScene) -> None:
    active = np.zeros((32, 32, 32), np.bool_)
    active[5, 0, 5] = active[9, 9, 9] = True
    checkpoint = from_dense(active, 1.0, np.zeros(3))
    with pytest.raises(InvalidInput, match="axis 1"):
        tile_scene(make_scene(checkpoint), tmp_path / "t.zarr", copies=2, n_threads=1)


def test_copies_that_would_not_meet_at_borders_of_bricks_are_refused(
    tmp_path: Path, make_scene: MakeScene
) -> None:
    active = np.zeros((20, 20, 20), np.bool_)
    active[9, 9, 9] = True
    checkpoint = from_dense(active, 1.0, np.zeros(3))
    with pytest.raises(InvalidInput, match="do not divide"):
        tile_scene(make_scene(checkpoint), tmp_path / "t.zarr", copies=2, n_threads=1)


def test_refused_copies_leave_nothing_behind(tmp_path: Path, tiled: Path) -> None:
    del tiled
    with pytest.raises(ps.StoreNotFound):
        tile_scene(tmp_path / "none.zarr", tmp_path / "t.zarr", copies=2, n_threads=1)
    assert list(tmp_path.iterdir()) == []
