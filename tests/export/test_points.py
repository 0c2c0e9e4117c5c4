"""A scene as a coloured point cloud: every voxel once, where it is, in the colour it shows."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import plenostream as ps
from plenostream.export.bricks import BrickReader
from plenostream.export.points import scene_points
from plenostream.field.grid import GridSpec
from plenostream.format.opening import open_store
from plenostream.testing.checkpoints import (
    CheckpointArrays,
    constant_checkpoint,
    empty_checkpoint,
    flat_colour_sh,
    from_dense,
    random_checkpoint,
)
from plenostream.testing.scenes import write_checkpoint_plain


def cloud_of(
    checkpoint: CheckpointArrays, folder: Path, *, brick_size: int = 16, min_density: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    path = folder / "scene.zarr"
    write_checkpoint_plain(path, checkpoint, brick_size=brick_size)
    with open_store(path) as store:
        parts = list(scene_points(BrickReader(store), min_density=min_density))
    points, colours = zip(*parts, strict=True) if parts else ((), ())
    return (
        np.concatenate([np.empty((0, 3)), *points]),
        np.concatenate([np.empty((0, 3), np.float32), *colours]),
    )


def written(checkpoint: CheckpointArrays, folder: Path, **options: Any) -> NDArray[Any]:
    """Vertices of the file as plyfile reads them."""
    plyfile = pytest.importorskip("plyfile")
    write_checkpoint_plain(folder / "scene.zarr", checkpoint)
    ps.export_scene(folder / "scene.zarr", folder / "out.ply", ps.ExportOptions(**options))
    data = plyfile.PlyData.read(folder / "out.ply")
    assert [element.name for element in data.elements] == ["vertex"]
    assert not data.text
    vertices: NDArray[Any] = np.array(data["vertex"].data)
    return vertices


def columns(vertices: NDArray[Any], *names: str) -> NDArray[np.float64]:
    return np.stack([vertices[name].astype(np.float64) for name in names], axis=-1)


@pytest.mark.parametrize("brick_size", [8, 16, 32])
def test_every_dense_voxel_comes_once_where_it_is(
    gyroid: CheckpointArrays, tmp_path: Path, brick_size: int
) -> None:
    density = np.where(gyroid.links >= 0, gyroid.density[gyroid.links], 0)
    expected = gyroid.grid.grid_to_world(np.argwhere(density > 1.0))
    points, _ = cloud_of(gyroid, tmp_path, brick_size=brick_size, min_density=1.0)
    assert len(expected) > 0
    np.testing.assert_array_equal(
        points[np.lexsort(points.T[::-1])], expected[np.lexsort(expected.T[::-1])]
    )


def test_colour_is_what_a_voxel_shows_on_average(tmp_path: Path) -> None:
    sh = flat_colour_sh((0.2, 0.4, 0.75), basis_dim=4)
    sh[[1, 5, 10]] = 3.0  # changes with the direction: no part of the average
    _, colours = cloud_of(
        from_dense(np.ones((2, 2, 2), bool), 1.0, sh, sh_dtype=np.float32), tmp_path
    )
    np.testing.assert_allclose(colours, np.tile([0.2, 0.4, 0.75], (8, 1)), atol=1e-6)


def test_colours_beyond_what_a_file_can_hold_are_clipped(tmp_path: Path) -> None:
    sh = flat_colour_sh((-1.0, 0.5, 7.0), basis_dim=1)
    _, colours = cloud_of(from_dense(np.ones((2, 2, 2), bool), 1.0, sh), tmp_path)
    assert {tuple(colour) for colour in colours.tolist()} == {(0.0, 0.5, 1.0)}


def test_scene_without_voxels_has_no_points(tmp_path: Path) -> None:
    points_world, colours = cloud_of(empty_checkpoint(), tmp_path)
    assert points_world.shape == colours.shape == (0, 3)


@pytest.mark.parametrize("min_density", [-1.0, float("nan")])
def test_density_that_cannot_be_a_threshold_is_refused(
    tiny: CheckpointArrays, tmp_path: Path, min_density: float
) -> None:
    with pytest.raises(ps.InvalidInput, match="min_density"):
        cloud_of(tiny, tmp_path, min_density=min_density)


@pytest.mark.parametrize("colours", ["8bit", "float"])
def test_written_file_holds_the_points(
    tiny: CheckpointArrays, tmp_path: Path, colours: str
) -> None:
    (tmp_path / "plain").mkdir()
    points_world, expected = cloud_of(tiny, tmp_path / "plain")
    vertices = written(tiny, tmp_path, colours=colours)
    np.testing.assert_allclose(columns(vertices, *"xyz"), points_world, atol=1e-7)
    seen = columns(vertices, "red", "green", "blue")
    if colours == "8bit":
        assert vertices["red"].dtype == np.uint8
        np.testing.assert_array_equal(seen, np.rint(expected.astype(np.float64) * 255))
    else:
        np.testing.assert_array_equal(seen, expected)


def test_opacity_is_what_the_shortest_edge_of_a_voxel_takes(tmp_path: Path) -> None:
    grid = constant_checkpoint(size=(8, 8, 16), density=3.0, radius=(1.0, 1.0, 1.0))
    vertices = written(grid, tmp_path)
    np.testing.assert_allclose(vertices["opacity"], 1 - np.exp(-3.0 * 2 / 16), rtol=1e-6)


def test_normals_point_out_of_a_ball_and_do_not_see_bricks(tmp_path: Path) -> None:
    centre, radius = np.array([19.5, 20.0, 17.0]), (1.0, 0.5, 1.5)
    voxels = np.stack(np.meshgrid(*[np.arange(40)] * 3, indexing="ij"), axis=-1)
    scale = GridSpec(size=(40, 40, 40), radius=radius).scale
    offset = (voxels - centre) / scale
    density = 100 * np.exp(-4 * np.square(offset).sum(axis=-1))
    ball = from_dense(density > 20, density, np.zeros(3), radius=radius)
    vertices = written(ball, tmp_path, normals=True, min_density=30.0)
    middle = ball.grid.grid_to_world(centre)
    outside = columns(vertices, *"xyz") - middle
    far = np.linalg.norm(outside, axis=1) > 0.1
    cosine = (columns(vertices, "nx", "ny", "nz") * outside).sum(1)[far]
    cosine /= np.linalg.norm(outside, axis=1)[far]
    assert far.sum() > 1000
    # At the rim of the active voxels density falls to 0 at once, along some axes alone.
    inner = vertices["opacity"][far] > np.quantile(vertices["opacity"], 0.3)
    assert cosine[inner].min() > 0.99
    np.testing.assert_allclose(
        np.linalg.norm(columns(vertices, "nx", "ny", "nz"), axis=1), 1, atol=1e-6
    )


def test_places_far_from_the_origin_are_told_apart(tmp_path: Path) -> None:
    far = constant_checkpoint(size=(8, 8, 8), radius=(1e-3,) * 3, center=(100.0, 0.0, 0.0))
    vertices = written(far, tmp_path)
    assert vertices["x"].dtype == np.float64
    assert len(np.unique(columns(vertices, *"xyz"), axis=0)) == 512


def test_other_programs_open_it(tiny: CheckpointArrays, tmp_path: Path) -> None:
    open3d = pytest.importorskip("open3d", exc_type=ImportError)
    vertices = written(tiny, tmp_path, normals=True)
    cloud = open3d.io.read_point_cloud(str(tmp_path / "out.ply"))
    np.testing.assert_array_equal(np.asarray(cloud.points), columns(vertices, *"xyz"))
    np.testing.assert_array_equal(np.asarray(cloud.normals), columns(vertices, "nx", "ny", "nz"))
    np.testing.assert_allclose(
        np.asarray(cloud.colors), columns(vertices, "red", "green", "blue") / 255, atol=1e-6
    )


def test_memory_does_not_grow_with_the_scene(tmp_path: Path) -> None:
    checkpoint = random_checkpoint(
        6, size=(96, 96, 96), active_share=0.3, basis_dim=25, sh_dtype=np.float32
    )
    scene = tmp_path / "scene.zarr"
    ps.convert(checkpoint.save(tmp_path / "in.npz", compressed=False), scene)
    del checkpoint
    allowed = 25_000_000
    options = ps.ExportOptions(normals=True, host_memory=allowed)
    tracemalloc.start()
    try:
        ps.export_scene(scene, tmp_path / "out.ply", options)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= allowed
    with pytest.raises(ps.BudgetError, match="memory"):
        ps.export_scene(scene, tmp_path / "small.ply", ps.ExportOptions(host_memory=100_000))


def test_no_points_to_write_leaves_nothing_behind(tmp_path: Path) -> None:
    write_checkpoint_plain(tmp_path / "scene.zarr", empty_checkpoint())
    with pytest.raises(ps.OutputError, match="no voxel"):
        ps.export_scene(tmp_path / "scene.zarr", tmp_path / "out.ply")
    assert {path.name for path in tmp_path.iterdir()} == {"scene.zarr"}


def test_folder_that_is_not_there_is_an_error_of_ours(
    tiny: CheckpointArrays, tmp_path: Path
) -> None:
    write_checkpoint_plain(tmp_path / "scene.zarr", tiny)
    with pytest.raises(ps.OutputError, match="cannot be written"):
        ps.export_scene(tmp_path / "scene.zarr", tmp_path / "nowhere" / "out.ply")


@pytest.mark.parametrize(
    ("name", "options"), [("out.xyz", {}), ("out.npz", {"format": "points"}), ("out", {})]
)
def test_ending_that_no_format_has_is_refused(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    with pytest.raises(ps.InvalidInput, match="ends in"):
        ps.export_scene(tmp_path / "scene.zarr", tmp_path / name, ps.ExportOptions(**options))
