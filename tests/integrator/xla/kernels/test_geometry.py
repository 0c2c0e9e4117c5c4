"""Ray constants against float64 worked out by NumPy, and the rays of a camera's tiles."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plenostream.cameras import look_at_camera
from plenostream.cameras.rays import pinhole_rays
from plenostream.field.basis import SphericalHarmonics
from plenostream.field.grid import GridSpec
from plenostream.field.tiles import TILE_RAYS
from plenostream.integrator.lattice import GridArrays, Spacing
from plenostream.integrator.xla.kernels.geometry import (
    DIRECTION_BITS,
    RayConstants,
    entry_bits,
    ray_constants,
)
from plenostream.testing.pictures import rays_around, rays_of
from plenostream.testing.strategies import grid_sizes

pytestmark = pytest.mark.slow

GRIDS = {
    "cube": GridSpec(size=(16, 16, 16)),
    "unequal": GridSpec(size=(9, 200, 31), radius=(0.3, 1.0, 0.6), center=(0.1, -0.2, 0.3)),
    "large": GridSpec(size=(2048, 2048, 1024)),
}
STEP = 0.5
BASIS = partial(SphericalHarmonics(4), jnp)
ONE_ULP = 1e-9
"""float64 at 2000 grid units resolves 5e-13; a division and some sums lie between."""


def arrays(grid: GridSpec) -> GridArrays:
    return GridArrays(*map(jnp.asarray, (grid.extent, grid.margin, grid.scale, grid.offset)))


def constants(
    grid: GridSpec,
    origins: np.ndarray,
    dirs: np.ndarray,
    *,
    near: float = 0.0,
    fences: bool = False,
) -> RayConstants:
    setup = jax.jit(partial(ray_constants, bits=entry_bits(grid.size), fences=fences, basis=BASIS))
    every = jnp.ones(len(origins), bool)
    rest = (arrays(grid), Spacing(*map(jnp.float64, (STEP, near, np.inf))))
    return setup(jnp.asarray(origins.T), jnp.asarray(dirs.T), every, *rest)


def by_hand(
    grid: GridSpec, origins: np.ndarray, dirs: np.ndarray, *, near: float = 0.0
) -> tuple[np.ndarray, ...]:
    """Entry [n, 3], direction [n, 3], t_min and t_max [n] in grid units; all directions not 0."""
    eyes, course = grid.world_to_grid(origins), dirs * grid.scale
    course = course / np.linalg.norm(dirs, axis=1, keepdims=True)
    per_world = np.linalg.norm(course, axis=1)
    course /= per_world[:, None]
    faces = np.array([[-0.5] * 3, np.array(grid.size) - 0.5])
    crossings = np.sort((faces[:, None] - eyes) / course, axis=0)
    t_min = np.maximum(crossings[0].max(1), near * per_world)
    return eyes + t_min[:, None] * course, course, t_min, crossings[1].min(1)


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("near", [0.0, 0.7])
def test_lattice_starts_where_the_ray_enters_to_the_last_digit_of_the_fixed_point(
    name: str, near: float
) -> None:
    grid = GRIDS[name]
    origins, dirs = rays_around(1, 500)
    rays = constants(grid, origins, dirs, near=near)
    entry, course, t_min, t_max = by_hand(grid, origins, dirs, near=near)
    hit = t_min <= t_max - ONE_ULP
    assert hit.sum() > 100
    n_samples = np.asarray(rays.n_samples)
    assert (n_samples[t_min > t_max + ONE_ULP] == 0).all()
    bits = entry_bits(grid.size)
    found = np.asarray(rays.entry).T * 2.0**-bits
    assert np.abs(found - entry)[hit].max() <= 0.5 * 2.0**-bits + ONE_ULP
    found = np.asarray(rays.direction).T * 2.0**-DIRECTION_BITS
    assert np.abs(found - course).max() <= 0.5 * 2.0**-DIRECTION_BITS + ONE_ULP
    np.testing.assert_allclose(np.asarray(rays.t_min)[hit], t_min[hit], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", GRIDS)
def test_number_of_samples_is_that_of_steps_before_the_exit(name: str) -> None:
    grid = GRIDS[name]
    origins, dirs = rays_around(2, 500)
    n_samples = np.asarray(constants(grid, origins, dirs).n_samples)
    _, _, t_min, t_max = by_hand(grid, origins, dirs)
    steps = (t_max - t_min) / STEP
    clear = (np.abs(steps - np.round(steps)) > 1e-6) & (np.abs(t_max - t_min) > 1e-6)
    expected = np.where(t_min <= t_max, np.floor(steps) + 1, 0)
    assert (n_samples == expected)[clear].all()


def test_sample_exactly_at_the_exit_counts() -> None:
    grid = GridSpec(size=(8, 8, 8))
    # The box is 8 grid units long; with a step of a half there are 16 steps, so 17 samples.
    rays = constants(grid, np.array([[-2.0, 0.1, 0.1]]), np.array([[1.0, 0.0, 0.0]]))
    assert rays.n_samples.tolist() == [17]
    assert (rays.t_min.tolist(), rays.entry[0].tolist()) == ([4.0], [-(1 << 22)])


def test_axis_on_which_the_ray_does_not_move_puts_no_bound_on_it() -> None:
    grid = GridSpec(size=(8, 8, 8))
    dirs = np.array([[1.0, 0.0, -0.0], [1.0, 1e-12, 0.0]])
    rays = constants(grid, np.array([[-2.0, 7.0, 0.0]] * 2), dirs)
    assert rays.n_samples.tolist() == [17, 0]
    # It runs along the border that it is beyond, where positions are clamped.
    assert rays.entry[1][0] == 7 << entry_bits(grid.size)


@pytest.mark.parametrize("name", GRIDS)
def test_fences_change_nothing_but_the_speed(name: str) -> None:
    origins, dirs = rays_around(3, 100)
    fenced = constants(GRIDS[name], origins, dirs, near=0.7, fences=True)
    plain = constants(GRIDS[name], origins, dirs, near=0.7)
    assert (fenced.n_samples == plain.n_samples).all()
    # XLA may contract a product and a sum where it fuses them.
    for some, others in zip(fenced[:2], plain[:2], strict=True):
        assert np.abs(np.asarray(some) - np.asarray(others)).max() <= 1
    np.testing.assert_allclose(fenced.t_min, plain.t_min, rtol=1e-6)


def test_ray_of_a_place_without_a_pixel_has_no_samples() -> None:
    grid = GRIDS["cube"]
    flags = jnp.asarray(np.array([True, False]))
    dirs = jnp.asarray(np.array([[1.0, 0.1, 0.1]] * 2).T)
    rays = ray_constants(
        jnp.zeros((3, 2)),
        dirs,
        flags,
        arrays(grid),
        Spacing(*map(jnp.float64, (0.5, 0.0, np.inf))),
        bits=23,
        basis=BASIS,
    )
    assert (rays.n_samples > 0).tolist() == [True, False]


@given(size=grid_sizes(largest=4096))
def test_fixed_point_holds_the_whole_box_and_no_digit_that_float32_loses(
    size: tuple[int, int, int],
) -> None:
    bits = entry_bits(size)
    assert (max(size) - 0.5) * 2.0**bits < 2**31
    assert bits == 23 or max(size) >= 256


@given(data=st.data())
def test_tile_holds_the_rays_of_its_pixels_row_by_row(data: st.DataObject) -> None:
    width, height = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
    column = data.draw(st.integers(0, (width - 1) // 8)) * 8
    row = data.draw(st.integers(0, (height - 1) // 8)) * 8
    camera = look_at_camera(
        (2.0, 1.0, 0.5), (0.1, 0.0, 0.0), fov_degrees=60.0, size=(width, height)
    )
    intrinsics = jnp.asarray(np.array([camera.fx, camera.fy, camera.cx, camera.cy]))
    with jax.enable_x64(True):
        origins, dirs, valid = pinhole_rays(
            jnp,
            jnp.asarray(np.array([[column, row]], np.int32)),
            jnp.asarray(camera.c2w),
            intrinsics,
            jnp.asarray(np.array([width, height], np.int32)),
        )
    y, x = np.divmod(np.arange(TILE_RAYS), 8)
    inside = (column + x < width) & (row + y < height)
    assert valid.tolist() == inside.tolist()
    eyes, expected = rays_of(camera)
    pixel = ((row + y) * width + column + x)[inside]
    np.testing.assert_allclose(np.asarray(origins).T[inside], eyes[pixel], rtol=0, atol=1e-15)
    found = np.asarray(dirs).T[inside]
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected[pixel], rtol=0, atol=1e-14)


def test_tile_left_of_the_picture_has_no_pixels() -> None:
    # What the places of a part that have no tile are filled with.
    tiles = jnp.asarray(np.array([[-8, -8]], np.int32))
    valid = pinhole_rays(jnp, tiles, jnp.eye(3, 4), jnp.ones(4), jnp.asarray([9, 9], jnp.int32))[2]
    assert not valid.any()
