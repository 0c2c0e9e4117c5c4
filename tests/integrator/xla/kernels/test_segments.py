"""The list of segments: which there are, in which order, and what is compacted out of their samples."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import TILES, Toy, make_toy, tiny_shape

from plenostream.field.tiles import TILE_RAYS
from plenostream.integrator.xla.kernels.finish import fresh_state
from plenostream.integrator.xla.kernels.lanes import fence
from plenostream.integrator.xla.kernels.march import compact
from plenostream.integrator.xla.kernels.segments import Listing, list_segments
from plenostream.integrator.xla.kernels.state import KernelShape
from plenostream.testing import checkpoints

pytestmark = pytest.mark.slow

RANDOM = checkpoints.random_checkpoint(5, size=(13, 21, 10), active_share=0.4)
ALL_ITEMS = 64
"""Room for every item of a toy in one block."""


def list_all(
    toy: Toy, shape: KernelShape, *, count: int | None = None, trans: np.ndarray | None = None
) -> Listing:
    """The segments of the first `count` items of a toy, or of all."""
    items = np.zeros((shape.items, 4), np.int32)
    items[: len(toy.items)] = toy.items
    light = fresh_state(TILES * TILE_RAYS).trans if trans is None else jnp.asarray(trans)
    n = jnp.int32(len(toy.items) if count is None else count)

    def run(trans: jax.Array, items: jax.Array, n: jax.Array) -> Listing:
        call = fence(shape.fences, n > 0)
        return list_segments(trans, toy.rays, toy.pool, items, n, toy.scalars, shape, call)

    return jax.jit(run)(light, jnp.asarray(items), n)


def listed(listing: Listing) -> np.ndarray:
    return np.asarray(listing.ids)[: int(listing.n_segments)]


def by_item(listing: Listing) -> np.ndarray:
    """Numbers of samples [items, 64]."""
    return np.asarray(listing.n).reshape(-1, TILE_RAYS)


@pytest.mark.parametrize(
    ("rounds", "classes", "fences"),
    [(1, 2, False), (4, 3, False), (1, 4, True), (4, 6, True), (1, 7, True), (4, 7, False)],
)
def test_each_segment_is_listed_once_after_those_that_take_fewer_rounds(
    rounds: int, classes: int, fences: bool
) -> None:
    # Steps as short as these make up to 40 samples in a box.
    toy = make_toy(RANDOM, step_size=0.3)
    shape = tiny_shape(
        RANDOM, items=ALL_ITEMS, rounds=rounds, length_classes=classes, fences=fences
    )
    listing = list_all(toy, shape)
    n = np.asarray(listing.n)
    ids = listed(listing)
    assert len(ids) > 500
    assert np.sort(ids).tolist() == np.flatnonzero(n > 0).tolist()
    takes = np.minimum(-(-n[ids] // rounds), classes)
    assert set(takes.tolist()) == set(range(1, classes + 1))
    assert (np.diff(takes) >= 0).all()


def test_segments_of_one_class_are_in_the_order_of_the_items() -> None:
    shape = tiny_shape(RANDOM, items=ALL_ITEMS, length_classes=2)
    listing = list_all(make_toy(RANDOM), shape)
    ids = listed(listing)
    long = np.asarray(listing.n)[ids] > shape.rounds
    for mine in (ids[~long], ids[long]):
        assert len(mine) > 50
        assert (np.diff(mine) > 0).all()


def test_every_sample_of_a_ray_is_in_the_box_of_exactly_one_item() -> None:
    toy = make_toy(RANDOM, step_size=0.3)
    listing = list_all(toy, tiny_shape(RANDOM, items=ALL_ITEMS))
    n, first = by_item(listing), np.asarray(listing.k_first).reshape(-1, TILE_RAYS)
    n_samples = np.asarray(toy.rays.n_samples).reshape(TILES, TILE_RAYS)
    found = np.zeros((TILES, TILE_RAYS, n_samples.max()), int)
    for item, tile in enumerate(np.asarray(listing.tile)):
        for ray in range(TILE_RAYS):
            found[tile, ray, first[item, ray] :][: n[item, ray]] += 1
    inside = np.arange(found.shape[2]) < n_samples[..., None]
    assert (found == inside).all()


def test_items_beyond_the_count_have_no_segments() -> None:
    toy, shape = make_toy(RANDOM), tiny_shape(RANDOM, items=ALL_ITEMS)
    whole, part = by_item(list_all(toy, shape)), by_item(list_all(toy, shape, count=10))
    assert (part[:10] == whole[:10]).all()
    assert whole[10:].any()
    assert not part[10:].any()
    assert list_all(toy, shape, count=0).n_segments == 0


def test_rays_that_have_ended_have_no_segments() -> None:
    toy, shape = make_toy(RANDOM), tiny_shape(RANDOM, items=ALL_ITEMS)
    trans = np.ones(TILES * TILE_RAYS + 1, np.float32)
    trans[::2], trans[1::4] = -0.1, 0.0
    listing = list_all(toy, shape, trans=trans)
    ids = listed(listing)
    ray = np.asarray(listing.tile)[ids // TILE_RAYS] * TILE_RAYS + ids % TILE_RAYS
    assert len(ids) > 100
    assert set((ray % 4).tolist()) == {3}


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_samples_that_contribute_are_compacted_segment_by_segment(share: float) -> None:
    shape = tiny_shape(RANDOM, lanes=192)
    rng = np.random.default_rng(1)
    size = (shape.rounds, shape.lanes)
    weights = np.where(rng.random(size) < share, rng.random(size) + 0.1, 0.0).astype(np.float32)
    call = fence(False, jnp.bool_(True))
    places, total = jax.jit(partial(compact, shape=shape, call=call))(jnp.asarray(weights))
    above = weights > 0
    assert int(total) == above.sum()
    assert (np.asarray(places)[~above] == -1).all()
    assert np.asarray(places).T[above.T].tolist() == list(range(above.sum()))
