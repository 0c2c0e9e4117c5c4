"""Bricks packed for upload, and the pool that holds them afterwards."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from plenostream.field.grid import BrickGrid
from plenostream.field.precision import device_densities
from plenostream.integrator.interface import PAGE_ROWS, Arrivals
from plenostream.integrator.xla.device import Device
from plenostream.integrator.xla.kernels.tuning import kernel_shape
from plenostream.integrator.xla.packing import Upload, pack_arrivals
from plenostream.integrator.xla.pool import BrickPool
from plenostream.integrator.xla.programs import Programs
from plenostream.integrator.xla.structs import BATCH_BRICKS, BATCH_PAGES, Structs, n_bytes

BRICKS = BrickGrid(size=(40, 40, 40), brick_size=8)
BASIS_DIM = 4
N_SLOTS, N_PAGES = 40, 2000


class Some:
    """Some bricks with random voxels, as the store and the residency describe them."""

    def __init__(self, share: list[float], *, seed: int = 1, n_pages: int = N_PAGES) -> None:
        rng = np.random.default_rng(seed)
        b = len(share)
        self.active = rng.random((b, BRICKS.voxels)) < np.array(share)[:, None]
        self.active[:, 7] = True
        counts = self.active.sum(1)
        self.row_start = np.concatenate([[0], np.cumsum(counts)])
        n = int(self.row_start[-1])
        self.density = rng.normal(size=n).astype(np.float32)
        self.sh = rng.normal(size=(n, 3 * BASIS_DIM)).astype(np.float16)
        self.index = rng.integers(0, 5, (b, 3)).astype(np.int32)
        self.slots = rng.permutation(N_SLOTS)[:b].astype(np.int32)
        page_counts = -(-counts // PAGE_ROWS)
        self.pages = (1 + rng.permutation(n_pages - 1))[: page_counts.sum()].astype(np.int32)

    def pack(self, dtype: str = "float16", n_pages: int = N_PAGES, unit: float = 1.0) -> Upload:
        arrivals = Arrivals(
            index=self.index,
            mask=np.packbits(self.active, axis=1, bitorder="little"),
            density=self.density,
            sh=self.sh,
            row_start=self.row_start,
            slots=self.slots,
            pages=self.pages,
        )
        return pack_arrivals(
            arrivals,
            BRICKS,
            n_slots=N_SLOTS,
            n_pages=n_pages,
            dtype=np.dtype(dtype),
            unit=unit,
        )


def densities(pool: BrickPool, dtype: str = "float16") -> np.ndarray:
    """Each voxel's density and that of its neighbour in z, [N_SLOTS, V, 2]."""
    return np.asarray(pool.arrays.density).view(dtype).reshape(N_SLOTS, BRICKS.voxels, 2)


def uploaded(packed: Upload, dtype: str = "float16") -> BrickPool:
    device = Device(None, 1)
    shape = kernel_shape("cpu", brick_size=8, basis_dim=BASIS_DIM, entry_bits=23)
    programs = Programs(device, shape, jnp.dtype(dtype))
    pool = BrickPool(device, programs, n_slots=N_SLOTS, n_pages=N_PAGES)
    for kind, arrays in pool.stage(packed):
        pool.write(kind, arrays)
    return pool


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_voxels_of_uploaded_bricks_are_those_of_the_store(dtype: str) -> None:
    some = Some([0.9, 0.02, 0.5, 1.0, 0.3])
    pool = uploaded(some.pack(dtype, unit=0.5), dtype)
    arrays, (density, above) = pool.arrays, np.moveaxis(densities(pool, dtype), 2, 0)
    layout = kernel_shape("cpu", brick_size=8, basis_dim=BASIS_DIM, entry_bits=23).layout
    lanes = [layout.lane(f, c) for c in range(3) for f in range(BASIS_DIM)]
    row_ids = np.asarray(arrays.row_ids).reshape(N_SLOTS, -1)
    rows = np.asarray(arrays.rows)[:, lanes]
    for b, slot in enumerate(some.slots):
        mine = slice(some.row_start[b], some.row_start[b + 1])
        active = some.active[b]
        assert (
            density[slot][active] == device_densities(some.density[mine], 0.5, np.dtype(dtype))
        ).all()
        assert (rows[row_ids[slot][active]] == some.sh[mine]).all()
        assert not density[slot][~active].any()
        assert (above[slot][:-1] == density[slot][1:]).all()
        assert not row_ids[slot][~active].any()
        assert np.asarray(arrays.origins)[slot].tolist() == (some.index[b] * 8).tolist()
    assert not rows[0].any(), "an empty corner must find zeros"


def test_other_slots_are_not_touched() -> None:
    some = Some([0.5, 0.5])
    pool = uploaded(some.pack())
    others = np.setdiff1d(np.arange(N_SLOTS), some.slots)
    assert not densities(pool)[others].any()
    assert not np.asarray(pool.arrays.row_ids).reshape(N_SLOTS, -1)[others].any()


def test_densities_beyond_float16_stay_finite() -> None:
    some = Some([0.1])
    some.density[:3] = [1e6, -1e6, 3e38]
    values = some.pack("float16").density[0][some.active[0]][:3]
    assert values.tolist() == [65504.0, -65504.0, 65504.0]
    assert np.isfinite(some.pack("float32").density).all()


def test_rows_of_many_bricks_go_up_in_batches_of_one_size() -> None:
    some = Some([0.7] * 32, n_pages=5000)
    packed = some.pack(n_pages=5000)
    assert len(packed.pages) == len(packed.rows) == -(-len(some.pages) // BATCH_PAGES) > 1
    assert {pages.shape for pages in packed.pages} == {(BATCH_PAGES,)}
    assert {rows.shape for rows in packed.rows} == {(BATCH_PAGES * PAGE_ROWS, 3 * BASIS_DIM)}
    places = np.concatenate(packed.pages)
    assert places[: len(some.pages)].tolist() == some.pages.tolist()


def test_padding_lies_outside_the_pool_and_is_all_different() -> None:
    # Scatters are told that their places are unique.
    packed = Some([0.2, 0.2]).pack()
    assert (packed.slots[2:] >= N_SLOTS).all()
    assert len(set(packed.slots.tolist())) == BATCH_BRICKS
    places = packed.pages[0]
    assert (places[places >= N_PAGES] >= N_PAGES).sum() > 0
    assert len(set(places.tolist())) == BATCH_PAGES


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_bytes_of_an_upload_are_what_the_plan_takes_them_for(dtype: str) -> None:
    packed = Some([0.2, 0.2]).pack(dtype)
    shape = kernel_shape("cpu", brick_size=8, basis_dim=BASIS_DIM, entry_bits=23)
    structs = Structs(Device(None, 1).device, shape, jnp.dtype(dtype))
    bricks, pages = n_bytes(structs.brick_upload()), n_bytes(structs.row_upload())
    one = (packed.slots, packed.density, packed.row_ids, packed.origins)
    assert sum(a.nbytes for a in one) == bricks
    assert packed.pages[0].nbytes + packed.rows[0].nbytes == pages
    assert packed.nbytes == bricks + len(packed.pages) * pages
