"""Cameras, rays, scenes and images at the edges of what can be asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import plenostream as ps
from plenostream import reference
from plenostream.testing import checkpoints
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.invariants import assert_background, assert_sound
from plenostream.testing.pictures import crop, fragile_rays, model_of, open_renderer, rays_of
from plenostream.testing.recorded import largest_difference

pytestmark = pytest.mark.usefixtures("each_backend", "alike_pools")

Scenes = Callable[..., Path]

ORACLE = 2e-5
TINY_VIEW = ps.look_at_camera((2.4, 1.2, 0.9), (0.0, 0.0, 0.0), fov_degrees=50.0, size=(40, 30))


def assert_as_oracle(
    scene: Path, checkpoint: CheckpointArrays, origins: np.ndarray, dirs: np.ndarray
) -> None:
    expected = reference.render_rays(model_of(checkpoint), origins, dirs)
    with open_renderer(scene, precision="float32") as renderer:
        seen = renderer.render_rays(origins, dirs)
    assert_sound(seen.rgb, seen.alpha, seen.depth, background=1.0)
    assert largest_difference(seen.rgb, expected.rgb) <= ORACLE
    assert largest_difference(1.0 - seen.alpha, expected.trans) <= ORACLE
    assert largest_difference(seen.depth, expected.depth) <= 5 * ORACLE


def assert_picture_as_oracle(
    scene: Path, checkpoint: CheckpointArrays, camera: ps.Camera
) -> ps.RenderResult:
    origins, dirs = rays_of(camera)
    expected = reference.render_rays(model_of(checkpoint), origins, dirs)
    fragile = fragile_rays(checkpoint.grid, origins, dirs)
    assert fragile.mean() < 0.01
    with open_renderer(scene, precision="float32") as renderer:
        picture = renderer.render(camera)
    assert picture.rgb.shape == (camera.height, camera.width, 3)
    assert_sound(picture.rgb, picture.alpha, picture.depth, background=1.0)
    rgb, alpha, depth = picture.rgb.reshape(-1, 3), picture.alpha.ravel(), picture.depth.ravel()
    assert largest_difference(rgb, expected.rgb, fragile=fragile) <= ORACLE
    assert largest_difference(1.0 - alpha, expected.trans, fragile=fragile) <= ORACLE
    assert largest_difference(depth, expected.depth, fragile=fragile) <= 5 * ORACLE
    return picture


@pytest.fixture(scope="module")
def tiny_scene(tiny: CheckpointArrays, make_scene: Scenes) -> Path:
    return make_scene(tiny)


@pytest.mark.parametrize(
    "eye",
    [
        pytest.param((0.03, 0.02, -0.01), id="in the middle"),
        pytest.param((0.97, -0.98, 0.96), id="in the outer half voxel"),
        pytest.param((-1.0, 0.1, 0.2), id="on a face"),
        pytest.param((1 / 16, 1 / 16, 1 / 16), id="at a voxel centre"),
    ],
)
def test_camera_inside_the_grid_sees_what_lies_ahead(
    tiny: CheckpointArrays, tiny_scene: Path, eye: tuple[float, float, float]
) -> None:
    camera = ps.look_at_camera(eye, (0.2, 0.31, 0.17), fov_degrees=95.0, size=(40, 30))
    assert_picture_as_oracle(tiny_scene, tiny, camera)


def test_camera_that_turns_its_back_sees_the_background(tiny_scene: Path) -> None:
    camera = ps.look_at_camera((3.0, 0.0, 0.0), (6.0, 0.0, 0.0), size=(24, 16))
    with open_renderer(tiny_scene, options={"background": 0.25}) as renderer:
        picture = renderer.render(camera)
    everywhere = np.ones(picture.alpha.shape, np.bool_)
    assert_background(picture.rgb, picture.alpha, picture.depth, where=everywhere, background=0.25)


def axis_parallel_rays() -> tuple[np.ndarray, np.ndarray]:
    """Rays along each axis both ways, through voxel centres, cell faces and places between."""
    places = (np.array([0.0, 0.5, 3.0, 7.25, 7.5, 14.5, 15.0]) + 0.5) / 8 - 1
    origins, dirs = [], []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            for a in places:
                for b in places:
                    origins.append(np.insert([a, b], axis, -2.0 * sign))
                    dirs.append(np.insert([0.0, -0.0], axis, sign))
    return np.array(origins), np.array(dirs)


def test_rays_along_axes_and_faces_see_what_the_oracle_sees(
    tiny: CheckpointArrays, tiny_scene: Path
) -> None:
    assert_as_oracle(tiny_scene, tiny, *axis_parallel_rays())


def test_rays_outside_that_do_not_move_on_that_axis_see_the_clamped_border(
    tiny: CheckpointArrays, tiny_scene: Path
) -> None:
    origins, dirs = axis_parallel_rays()
    outside = origins + np.where(dirs == 0.0, 3.0, 0.0)
    assert_as_oracle(tiny_scene, tiny, outside, dirs)


@pytest.mark.parametrize("axis", ["y", "z"])
def test_pixels_whose_rays_never_come_nearer_see_the_clamped_border(
    tiny: CheckpointArrays, tiny_scene: Path, axis: str
) -> None:
    # The camera looks along x from beside the grid. On one line of pixels the direction has no
    # part on the axis on which the eye is outside.
    beside = np.array([0.0, 1.5, 0.0] if axis == "y" else [0.0, 0.0, 1.5])
    c2w = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    eye = np.array([-3.0, 0.13, 0.21]) * (beside == 0) + beside
    camera = ps.Camera(
        c2w=np.column_stack([c2w, eye]), fx=30.0, fy=30.0, cx=15.5, cy=10.5, width=31, height=21
    )
    picture = assert_picture_as_oracle(tiny_scene, tiny, camera)
    line = picture.alpha[:, 15] if axis == "y" else picture.alpha[10]
    assert line.max() > 0.1


@pytest.mark.slow
def test_rays_through_edges_and_corners_of_bricks_see_what_the_oracle_sees(
    tiny: CheckpointArrays, make_scene: Scenes
) -> None:
    # Bricks of 8 cells meet at grid coordinate 8; the diagonals go through their common corner.
    corner = (8 + 0.5) / 8 - 1
    signs = np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 0, 1)], float)
    assert_as_oracle(make_scene(tiny, brick_size=8), tiny, corner - 3.0 * signs, signs)


@pytest.mark.slow
def test_nearly_parallel_rays_are_as_exact_as_any(tiny: CheckpointArrays, tiny_scene: Path) -> None:
    places = np.linspace(-0.9, 0.9, 13)
    origins = np.array([[-2.0, a, b] for a in places for b in places])
    for slope in (1e-3, 1e-6, 1e-12, 1e-30):
        assert_as_oracle(tiny_scene, tiny, origins, np.tile([1.0, slope, -slope], (169, 1)))


def test_grazing_rays_that_miss_by_a_hair_see_the_background(tiny_scene: Path) -> None:
    origins = np.array([[-3.0, 1.0 + 1e-6, 0.0], [-3.0, 0.0, -1.0 - 1e-6]])
    dirs = np.array([[1.0, 1e-9, 0.0], [1.0, 0.0, -1e-9]])
    with open_renderer(tiny_scene) as renderer:
        seen = renderer.render_rays(origins, dirs)
    assert_background(seen.rgb, seen.alpha, seen.depth, where=np.ones(2, np.bool_), background=1.0)


def test_no_rays_at_all_give_empty_arrays(tiny_scene: Path) -> None:
    with open_renderer(tiny_scene) as renderer:
        seen = renderer.render_rays(np.zeros((0, 3)), np.zeros((0, 3)))
    assert (seen.rgb.shape, seen.alpha.shape, seen.depth.shape) == ((0, 3), (0,), (0,))


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("origins", "dirs"),
    [
        pytest.param(np.zeros((2, 2)), np.ones((2, 3)), id="origins of two numbers"),
        pytest.param(np.zeros((2, 3)), np.ones((3, 3)), id="more directions than origins"),
        pytest.param(np.full((1, 3), np.nan), np.ones((1, 3)), id="origin NaN"),
        pytest.param(np.zeros((1, 3)), np.full((1, 3), np.inf), id="direction infinite"),
        pytest.param(np.zeros((1, 3)), np.zeros((1, 3)), id="direction of length 0"),
    ],
)
def test_rays_that_mean_nothing_are_refused(
    tiny_scene: Path, origins: np.ndarray, dirs: np.ndarray
) -> None:
    with open_renderer(tiny_scene) as renderer, pytest.raises(ps.InvalidInput):
        renderer.render_rays(origins, dirs)


@pytest.mark.one_backend
def test_step_so_short_that_samples_could_not_be_told_apart_is_refused(tiny_scene: Path) -> None:
    with (
        pytest.raises(ps.InvalidInput, match=r"step_size .* above 6\.6e-06"),
        open_renderer(tiny_scene, options={"step_size": 1e-6}),
    ):
        pass


EMPTY = {
    "no voxel": checkpoints.empty_checkpoint(),
    "no density above 0": checkpoints.constant_checkpoint(size=(6, 6, 6), density=-1.0),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EMPTY)
def test_empty_scene_shows_the_background(make_scene: Scenes, name: str) -> None:
    with open_renderer(make_scene(EMPTY[name]), options={"background": 0.5}) as renderer:
        picture = renderer.render(TINY_VIEW)
        seen = renderer.render_rays(*rays_of(TINY_VIEW))
    for part in (picture, seen):
        everywhere = np.ones(part.alpha.shape, np.bool_)
        assert_background(part.rgb, part.alpha, part.depth, where=everywhere, background=0.5)


SMALL = {
    "single voxel": checkpoints.single_voxel_checkpoint(),
    "single voxel in a corner": checkpoints.single_voxel_checkpoint(voxel=(0, 0, 0)),
    "single voxel in the far corner": checkpoints.single_voxel_checkpoint(voxel=(7, 7, 7)),
    "2 x 2 x 2": checkpoints.random_checkpoint(21, size=(2, 2, 2), active_share=0.8),
    "2 x 40 x 2": checkpoints.random_checkpoint(22, size=(2, 40, 2), active_share=0.8),
    "17 voxels, one brick": checkpoints.random_checkpoint(23, size=(17, 17, 17)),
    "18 voxels, two bricks": checkpoints.random_checkpoint(24, size=(18, 17, 17)),
    "single voxel between bricks": checkpoints.single_voxel_checkpoint(
        size=(33, 33, 33), voxel=(16, 16, 16), density=200.0
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_small_grid_is_seen_whole(make_scene: Scenes, name: str) -> None:
    checkpoint = SMALL[name]
    picture = assert_picture_as_oracle(make_scene(checkpoint), checkpoint, TINY_VIEW)
    assert picture.alpha.max() > 0.0


@pytest.mark.parametrize(
    "size",
    [
        (1, 1),
        (17, 23),
        *(
            pytest.param(size, marks=pytest.mark.one_backend)
            for size in [(1, 9), (9, 1), (7, 5), (8, 8)]
        ),
    ],
)
def test_image_of_any_size_is_filled(
    tiny: CheckpointArrays, tiny_scene: Path, size: tuple[int, int]
) -> None:
    camera = ps.look_at_camera((2.4, 1.2, 0.9), (0.0, 0.0, 0.0), fov_degrees=40.0, size=size)
    assert_picture_as_oracle(tiny_scene, tiny, camera)


@pytest.mark.slow
@pytest.mark.one_backend  # bands of it are drawn as those of any picture
def test_image_of_4096_by_4096_is_right_where_the_scene_is_and_empty_elsewhere(
    tiny: CheckpointArrays, tiny_scene: Path
) -> None:
    # From 60 radii away the scene covers a spot of some 100 pixels.
    camera = ps.look_at_camera(
        (41.0, 37.0, 23.0), (0.0, 0.0, 0.0), fov_degrees=75.0, size=(4096, 4096)
    )
    with open_renderer(tiny_scene, precision="float32") as renderer:
        picture = renderer.render(camera)
    spot = slice(2048 - 96, 2048 + 96)
    outside = np.ones((4096, 4096), np.bool_)
    outside[spot, spot] = False
    assert_background(picture.rgb, picture.alpha, picture.depth, where=outside, background=1.0)
    part = crop(camera, left=spot.start, top=spot.start, width=192, height=192)
    origins, dirs = rays_of(part)
    expected = reference.render_rays(model_of(tiny), origins, dirs)
    fragile = fragile_rays(tiny.grid, origins, dirs)
    assert fragile.mean() < 0.01
    seen = picture.rgb[spot, spot].reshape(-1, 3)
    # The recorded case of a far eye allows 1e-4: a pixel's place in the grid loses digits.
    assert largest_difference(seen, expected.rgb, fragile=fragile) <= 1e-4
