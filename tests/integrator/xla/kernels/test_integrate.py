"""The integrator on toys, with blocks so small that every loop in it goes round, against the oracle."""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import MOST_ITEMS, TILES, Toy, make_toy, tiny_shape

from plenostream import reference
from plenostream.field.tiles import TILE_RAYS
from plenostream.integrator.interface import Light
from plenostream.integrator.xla.kernels.finish import compose, fresh_state, live_tiles
from plenostream.integrator.xla.kernels.integrate import integrate
from plenostream.integrator.xla.kernels.state import COUNTERS, KernelShape, RayState
from plenostream.testing import checkpoints
from plenostream.testing.pictures import fragile_rays, model_of
from plenostream.testing.recorded import largest_difference

pytestmark = pytest.mark.slow

ORACLE = 2e-5


def blocks_of(shell: np.ndarray, block_items: int) -> np.ndarray:
    blocks, first = [], 0
    while first < len(shell):
        count = int((shell[first : first + block_items] == shell[first]).sum())
        blocks.append((first, count, 0))
        first += count
    return np.array(blocks, np.int32).reshape(-1, 3)


@functools.cache
def compiled(shape: KernelShape) -> Callable[..., RayState]:
    """One function for each shape, so that tests with arrays of the same shapes share programs."""
    return jax.jit(partial(integrate, shape=shape))


def run(
    toy: Toy, shape: KernelShape, *, state: RayState | None = None, jit: bool = True
) -> RayState:
    """The state after all items of the toy."""
    items = np.zeros((MOST_ITEMS + shape.items, 4), np.int32)
    items[: len(toy.items)] = toy.items
    blocks = np.zeros((MOST_ITEMS, 3), np.int32)
    mine = blocks_of(toy.shell, shape.items)
    blocks[: len(mine)] = mine
    function = compiled(shape) if jit else partial(integrate, shape=shape)
    if state is None:
        state = fresh_state(TILES * TILE_RAYS)
    call = map(jnp.asarray, (items, blocks, np.int32(len(mine))))
    return function(state, toy.rays, toy.pool, *call, toy.scalars)


def picture(toy: Toy, state: RayState) -> np.ndarray:
    """Red, green, blue, alpha and depth [rays, 5] over white."""
    scalars = toy.scalars
    rest = (scalars.units_per_grid, scalars.unit, scalars.step, jnp.ones(3, jnp.float32))
    values, alpha, *_ = map(
        np.asarray, jax.jit(compose)(state._replace(left=None), state.left, toy.rays, *rest)
    )
    # The last place is the spare ray's.
    return np.insert(values, 3, alpha, axis=1)[:-1]


def assert_as_oracle(toy: Toy, state: RayState, **options: Any) -> None:
    seen = picture(toy, state)
    expected = reference.render_rays(model_of(toy.checkpoint), toy.origins, toy.dirs, **options)
    step = options.get("step_size", 0.5)
    fragile = fragile_rays(toy.checkpoint.grid, toy.origins, toy.dirs, step_size=step)
    assert expected.trans.min() < 0.9
    assert largest_difference(seen[:, :3], expected.rgb, fragile=fragile) <= ORACLE
    assert largest_difference(1.0 - seen[:, 3], expected.trans, fragile=fragile) <= ORACLE
    assert largest_difference(seen[:, 4], expected.depth, fragile=fragile) <= 5 * ORACLE


RANDOM = checkpoints.random_checkpoint(5, size=(13, 21, 10), active_share=0.4)


@pytest.mark.parametrize(
    "sizes",
    [
        # Each is a program to compile, so each tries two things.
        pytest.param({}, id="tiny"),
        pytest.param({"items": 1, "length_classes": 7}, id="one item a block, sorted finely"),
        pytest.param(
            {"items": 64, "lanes": 4096, "shade": 2048, "fences": True},
            id="all in one block, fenced",
        ),
        pytest.param(
            {"span": 4, "rounds": 1, "length_classes": 2}, id="one sample a round, hardly sorted"
        ),
    ],
)
def test_rays_see_what_the_oracle_sees_whatever_the_size_of_the_blocks(
    sizes: dict[str, int | bool],
) -> None:
    toy = make_toy(RANDOM)
    assert_as_oracle(toy, run(toy, tiny_shape(RANDOM, **sizes)))


@pytest.mark.parametrize("basis_dim", [1, 25])
def test_colours_of_the_smallest_and_the_largest_basis_are_the_oracles(basis_dim: int) -> None:
    # In float16: in float32, the recorded cases have all of them.
    checkpoint = checkpoints.random_checkpoint(6, size=(10, 9, 11), basis_dim=basis_dim)
    toy = make_toy(checkpoint, dtype="float16")
    assert_as_oracle(toy, run(toy, tiny_shape(checkpoint)))


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"step_size": 0.23}, id="short steps"),
        pytest.param({"step_size": 3.0}, id="steps of several cells"),
        pytest.param({"near_clip": 1.1}, id="near clip"),
        pytest.param({"sigma_thresh": 2.0}, id="high threshold of density"),
        pytest.param({"stop_thresh": 0.0}, id="never stopped"),
        pytest.param(
            {"stop_thresh": 0.4},
            id="stopped early",
        ),
    ],
)
def test_options_mean_what_they_mean_to_the_oracle(options: dict[str, float]) -> None:
    toy = make_toy(RANDOM, **options)
    assert_as_oracle(toy, run(toy, tiny_shape(RANDOM)), **options)


@pytest.mark.parametrize(
    ("light", "options"),
    [
        (Light.OPAQUE_END, {"last_sample_opaque": True}),
        (Light.ADDS_UP, {"model": "nvol"}),
        (Light.ADDS_UP, {"model": "nvol", "stop_thresh": 0.4}),
    ],
)
def test_light_is_lost_as_the_oracle_loses_it(light: Light, options: dict[str, Any]) -> None:
    toy = make_toy(RANDOM, stop_thresh=options.get("stop_thresh", 1e-7))
    state = fresh_state(TILES * TILE_RAYS, light)
    assert_as_oracle(toy, run(toy, tiny_shape(RANDOM, light=light), state=state), **options)


def test_eye_inside_a_brick_sees_what_lies_ahead() -> None:
    toy = make_toy(RANDOM, eye=(0.13, -0.21, 0.08))
    assert_as_oracle(toy, run(toy, tiny_shape(RANDOM)))


@pytest.mark.slow
def test_kernel_run_step_by_step_gives_what_it_gives_compiled() -> None:
    checkpoint = checkpoints.random_checkpoint(7, size=(9, 9, 9), basis_dim=1)
    toy, shape = make_toy(checkpoint), tiny_shape(checkpoint, items=4, lanes=192, shade=1024)
    # Each operation takes a while by itself: a part of the samples will do.
    toy = toy._replace(rays=toy.rays._replace(n_samples=jnp.minimum(toy.rays.n_samples, 6)))
    expected = run(toy, shape)
    with jax.disable_jit():
        stepped = run(toy, shape, jit=False)
    np.testing.assert_allclose(stepped.trans[:-1], expected.trans[:-1], rtol=0, atol=1e-6)
    np.testing.assert_allclose(stepped.gathered[:-1], expected.gathered[:-1], rtol=1e-5, atol=1e-5)
    assert stepped.counters.tolist() == expected.counters.tolist()


def test_state_goes_on_from_call_to_call() -> None:
    toy, shape = make_toy(RANDOM), tiny_shape(RANDOM)
    at_once, state = run(toy, shape), None
    for shell in np.unique(toy.shell):
        mine = toy.shell == shell
        part = toy._replace(items=toy.items[mine], shell=toy.shell[mine])
        state = run(part, shape, state=state)
    # A GPU adds samples to a ray in the order in which its threads come.
    most = {"rtol": 0, "atol": 0 if jax.default_backend() == "cpu" else 2e-6}
    # The last place is a spare one, where padding is written to.
    np.testing.assert_allclose(state.trans[:-1], at_once.trans[:-1], **most)
    np.testing.assert_allclose(state.gathered[:-1], at_once.gathered[:-1], **most)
    assert state.counters.tolist() == at_once.counters.tolist()


def test_order_within_a_shell_does_not_matter() -> None:
    toy, shape = make_toy(RANDOM), tiny_shape(RANDOM)
    order = np.lexsort((np.random.default_rng(1).random(len(toy.shell)), toy.shell))
    mixed = run(toy._replace(items=toy.items[order]), shape)
    # Each ray has one item of a shell, so its samples come in the same order.
    straight = run(toy, shape)
    np.testing.assert_allclose(mixed.trans[:-1], straight.trans[:-1], rtol=0, atol=1e-7)
    assert_as_oracle(toy, mixed)


def test_call_without_blocks_changes_nothing() -> None:
    toy, shape = make_toy(RANDOM), tiny_shape(RANDOM)
    nothing = toy._replace(items=toy.items[:0], shell=toy.shell[:0])
    before = run(toy, shape)
    after = run(nothing, shape, state=before)
    assert after.trans[:-1].tolist() == before.trans[:-1].tolist()
    assert after.counters.tolist() == before.counters.tolist()


def test_ray_that_has_ended_gathers_no_more() -> None:
    toy, shape = make_toy(RANDOM), tiny_shape(RANDOM)
    state = fresh_state(TILES * TILE_RAYS)
    ended = np.arange(TILES * TILE_RAYS + 1) % 2 == 0
    state = state._replace(trans=jnp.where(jnp.asarray(ended), jnp.float32(0), state.trans))
    after = run(toy, shape, state=state)
    assert not np.asarray(after.gathered)[ended][:-1].any()
    assert (np.asarray(after.trans)[ended][:-1] == 0).all()


def test_samples_of_a_constant_medium_are_counted_one_by_one() -> None:
    medium = checkpoints.constant_checkpoint(size=(17, 17, 17), density=0.01)
    toy = make_toy(medium)
    counters = dict(zip(COUNTERS, run(toy, tiny_shape(medium)).counters.tolist(), strict=True))
    n_samples = int(np.asarray(toy.rays.n_samples).sum())
    assert counters["samples_marched"] == counters["samples_shaded"] == n_samples
    assert counters["march_lanes"] >= n_samples
    assert counters["shade_lanes"] >= n_samples
    assert 0 < counters["segments"] <= len(toy.items) * TILE_RAYS


def test_wall_ends_each_ray_at_its_first_sample() -> None:
    wall = checkpoints.constant_checkpoint(size=(17, 17, 17), density=1e4)
    toy = make_toy(wall)
    state = run(toy, tiny_shape(wall))
    assert not np.asarray(state.trans)[:-1].any()
    shaded = state.counters[COUNTERS.index("samples_shaded")]
    assert shaded == TILES * TILE_RAYS


def test_tile_is_alive_while_one_of_its_rays_can_gather_more() -> None:
    toy = make_toy(RANDOM)
    trans = np.zeros(TILES * TILE_RAYS + 1, np.float32)
    trans[TILE_RAYS + 5] = 0.25
    state = fresh_state(TILES * TILE_RAYS)._replace(trans=jnp.asarray(trans))
    assert live_tiles(state, toy.rays).tolist() == [False, True, False]
    missing = toy.rays._replace(n_samples=jnp.zeros_like(toy.rays.n_samples))
    assert not live_tiles(state, missing).any()


def test_ray_that_has_met_nothing_shows_the_background() -> None:
    toy = make_toy(RANDOM)
    seen = picture(toy, fresh_state(TILES * TILE_RAYS))
    assert (seen == [1, 1, 1, 0, 0]).all()
