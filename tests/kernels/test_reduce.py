"""Reduced rows against the colours that float64 gives for the same coefficients."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from plenostream import reference
from plenostream.kernels.reduce import reduce_pages, reduced_basis
from plenostream.kernels.state import PAGE_ROWS, REDUCED, KernelShape, Pool, RowLayout, WaveScalars
from plenostream.kernels.tuning import kernel_shape

N_SLOTS, N_PAGES, BRICK = 3, 6, 8
EYE = np.array([40.0, -12.0, 25.0])
SCALE = np.array([0.25, 0.5, 0.3])


def shape_of(basis_dim: int) -> KernelShape:
    shape = kernel_shape("cpu", brick_size=BRICK, basis_dim=basis_dim, entry_bits=20, reduces=True)
    return replace(shape, fences=False)


def scalars() -> WaveScalars:
    return WaveScalars(
        size=jnp.asarray(np.array([64, 64, 64], np.int32)),
        world_per_grid=jnp.asarray(SCALE.astype(np.float32)),
        step=jnp.float64(0.5),
        sigma_thresh=jnp.float32(1e-10),
        stop_thresh=jnp.float32(1e-7),
        eye_grid=jnp.asarray(EYE.astype(np.float32)),
    )


def filled_pool(basis_dim: int, rng: np.random.Generator) -> Pool:
    voxels, width = (BRICK + 1) ** 3, RowLayout(basis_dim).width
    rows = np.zeros((N_PAGES * PAGE_ROWS, width), np.float32)
    rows[PAGE_ROWS:, : 3 * basis_dim] = rng.normal(size=(len(rows) - PAGE_ROWS, 3 * basis_dim))
    origins = np.array([[0, 0, 0], [8, 16, 24], [32, 0, 48]], np.int32)
    flat = {
        "density": np.zeros(N_SLOTS * voxels, np.uint64),
        "row_ids": np.zeros(N_SLOTS * voxels, np.uint32),
        "rows": rows,
        "origins": origins,
        "reduced": np.zeros((len(rows), REDUCED.width), np.float32),
        "voxels": rng.integers(0, voxels, len(rows)).astype(np.uint16),
    }
    return Pool(**{name: jnp.asarray(values) for name, values in flat.items()})


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.mark.parametrize("basis_dim", [9, 16])
def test_reduced_row_gives_the_colour_in_which_the_eye_sees_its_voxel(basis_dim: int) -> None:
    rng = np.random.default_rng(basis_dim)
    shape, before = shape_of(basis_dim), filled_pool(basis_dim, rng)
    pages, slots = np.array([4, 2], np.int32), np.array([1, 2], np.int32)
    reduce = jax.jit(partial(reduce_pages, shape=shape))
    after = reduce(before, jnp.asarray(pages), jnp.asarray(slots), scalars())
    for page, slot in zip(pages, slots, strict=True):
        mine = slice(page * PAGE_ROWS, (page + 1) * PAGE_ROWS)
        origin = np.asarray(before.origins)[slot]
        local = np.stack(np.unravel_index(np.asarray(before.voxels)[mine], (BRICK + 1,) * 3), -1)
        view = unit((origin + local - EYE) * SCALE)
        rows = np.asarray(before.rows)[mine, : 3 * basis_dim].reshape(-1, basis_dim, 3)
        exact = np.einsum(
            "nk,nkc->nc", reference.sh_basis(view, basis_dim), rows.astype(np.float64)
        )
        call = lambda function, *args: function(*args)  # noqa: E731
        origins = jnp.asarray(np.repeat(origin[:, None], PAGE_ROWS, 1))
        directions = jnp.asarray(view.T.astype(np.float32))
        factors = np.asarray(reduced_basis(directions, origins, scalars(), shape, call))
        reduced = np.asarray(after.reduced)[mine, :12].reshape(-1, 4, 3)
        # The direction of the ray is that of the voxel: nothing is lost but float32's rounding.
        found = np.einsum("kn,nkc->nc", factors, reduced)
        np.testing.assert_allclose(found, exact, rtol=0, atol=3e-5)


def test_pages_that_were_not_named_keep_their_reduced_rows() -> None:
    before = filled_pool(9, np.random.default_rng(1))
    pages = jnp.asarray(np.array([3, N_PAGES, N_PAGES + 1], np.int32))
    slots = jnp.asarray(np.array([1, 0, 0], np.int32))
    after = reduce_pages(before, pages, slots, scalars(), shape=shape_of(9))
    touched = np.asarray(after.reduced).reshape(N_PAGES, -1).any(1)
    assert touched.tolist() == [False, False, False, True, False, False]
    for name in ("density", "row_ids", "rows", "origins", "voxels"):
        assert (np.asarray(getattr(after, name)) == np.asarray(getattr(before, name))).all()
