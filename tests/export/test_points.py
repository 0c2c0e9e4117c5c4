"""A scene as a coloured point cloud: every voxel once, where it is, in the colour it shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from plenostream.errors import InvalidInput, OutputError
from plenostream.export.points import scene_points, write_points
from plenostream.format.reader import open_store
from plenostream.testing.checkpoints import (
    CheckpointArrays,
    empty_checkpoint,
    flat_colour_sh,
    from_dense,
)
from plenostream.testing.scenes import write_checkpoint_plain


def cloud_of(
    checkpoint: CheckpointArrays, folder: Path, *, brick_size: int = 16, min_density: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    path = folder / "scene.zarr"
    write_checkpoint_plain(path, checkpoint, brick_size=brick_size)
    with open_store(path) as store:
        return scene_points(store, min_density=min_density)


def needs_open3d() -> None:
    try:
        import open3d  # noqa: F401
    except (ImportError, OSError) as error:
        pytest.skip(f"open3d cannot be loaded: {error}")


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
    assert {tuple(colour) for colour in colours} == {(0.0, 0.5, 1.0)}


def test_scene_without_voxels_has_no_points(tmp_path: Path) -> None:
    points_world, colours = cloud_of(empty_checkpoint(), tmp_path)
    assert points_world.shape == colours.shape == (0, 3)


@pytest.mark.parametrize("min_density", [-1.0, float("nan")])
def test_density_that_cannot_be_a_threshold_is_refused(
    tiny: CheckpointArrays, tmp_path: Path, min_density: float
) -> None:
    with pytest.raises(InvalidInput, match="min_density"):
        cloud_of(tiny, tmp_path, min_density=min_density)


def test_written_file_holds_the_points(tiny: CheckpointArrays, tmp_path: Path) -> None:
    needs_open3d()
    import open3d

    points_world, colours = cloud_of(tiny, tmp_path)
    n_points = write_points(tmp_path / "scene.zarr", tmp_path / "out.ply")
    cloud = open3d.io.read_point_cloud(str(tmp_path / "out.ply"))
    assert n_points == len(points_world) > 0
    np.testing.assert_allclose(np.asarray(cloud.points), points_world, rtol=1e-12)
    np.testing.assert_allclose(np.asarray(cloud.colors), colours, atol=1 / 255)


def test_existing_file_is_replaced_only_when_asked(tiny: CheckpointArrays, tmp_path: Path) -> None:
    needs_open3d()
    write_checkpoint_plain(tmp_path / "scene.zarr", tiny)
    target = tmp_path / "out.ply"
    target.write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        write_points(tmp_path / "scene.zarr", target)
    assert target.read_text() == "mine"
    write_points(tmp_path / "scene.zarr", target, overwrite=True)
    assert target.read_bytes().startswith(b"ply")


def test_no_points_to_write_leaves_nothing_behind(tmp_path: Path) -> None:
    needs_open3d()
    write_checkpoint_plain(tmp_path / "scene.zarr", empty_checkpoint())
    with pytest.raises(OutputError, match="no voxel"):
        write_points(tmp_path / "scene.zarr", tmp_path / "out.ply")
    assert {path.name for path in tmp_path.iterdir()} == {"scene.zarr"}


def test_folder_that_is_not_there_is_an_error_of_ours(
    tiny: CheckpointArrays, tmp_path: Path
) -> None:
    needs_open3d()
    write_checkpoint_plain(tmp_path / "scene.zarr", tiny)
    with pytest.raises(OutputError, match="cannot be written"):
        write_points(tmp_path / "scene.zarr", tmp_path / "nowhere" / "out.ply")


def test_other_forms_than_ply_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"\.ply"):
        write_points(tmp_path / "scene.zarr", tmp_path / "out.xyz")


def test_without_open3d_the_message_names_what_to_install(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['open3d'] = None\n"
        "from plenostream.errors import PlenostreamError\n"
        "from plenostream.export.points import write_points\n"
        "try: write_points('scene.zarr', 'out.ply')\n"
        "except PlenostreamError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "plenostream[points]" in done.stdout
    assert "apt-get install libegl1" in done.stdout
