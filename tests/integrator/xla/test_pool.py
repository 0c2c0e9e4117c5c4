"""Bricks as they arrive, and the pool that holds them afterwards."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from plenostream.field.basis import SphericalHarmonics
from plenostream.field.grid import BrickGrid
from plenostream.field.precision import device_densities
from plenostream.integrator.interface import PAGE_ROWS, Arrivals, Runs
from plenostream.integrator.lattice import apply
from plenostream.integrator.staging_memory import plain_memory
from plenostream.integrator.warp.environment import prepare_warp
from plenostream.integrator.warp.programs import WalkPrograms
from plenostream.integrator.xla.device import Device
from plenostream.integrator.xla.kernels.shade import corner_rows
from plenostream.integrator.xla.kernels.tuning import kernel_shape
from plenostream.integrator.xla.pool import BrickPool
from plenostream.integrator.xla.programs import Programs
from plenostream.integrator.xla.staged import Stager
from plenostream.integrator.xla.structs import StagedShape, n_bytes
from plenostream.testing.calls import calls_of

pytestmark = pytest.mark.slow

BRICKS = BrickGrid(size=(40, 40, 40), brick_size=8)
BASIS_DIM = 4
N_SLOTS, N_PAGES = 120, 4000
STAGED = StagedShape(rows=40_960 + PAGE_ROWS, sh_dtype="float16")


_PROGRAMS: dict[str, Any] = {
    "cpu": Programs,
    "gpu": Programs,
    "warp": partial(WalkPrograms, sizes=(1, 1, 1)),
}
"""Programs for each kind of device, all run on this one."""


@pytest.fixture(params=[*_PROGRAMS])
def platform(request: pytest.FixtureRequest) -> str:
    """What writes the pool."""
    prepare_warp()
    return str(request.param)


class Some:
    """Some bricks with random voxels, as the supply hands them over."""

    def __init__(self, share: list[float], *, seed: int = 1, sh_dtype: str = "float16") -> None:
        rng = np.random.default_rng(seed)
        b = len(share)
        self.active = rng.random((b, BRICKS.voxels)) < np.array(share)[:, None]
        self.active[:, 7] = True
        counts = self.active.sum(1)
        self.row_start = np.concatenate([[0], np.cumsum(counts)])
        self.n = int(self.row_start[-1])
        # What lies behind the rows is whatever was there before.
        self.density = plain_memory(STAGED.rows * 4).view(np.float32)
        self.density[:] = rng.normal(size=STAGED.rows)
        width = 3 * BASIS_DIM
        memory = plain_memory(STAGED.rows * width * np.dtype(sh_dtype).itemsize)
        self.sh = memory.view(sh_dtype).reshape(STAGED.rows, width)
        self.sh[:] = rng.normal(size=self.sh.shape)
        self.index = rng.integers(0, 5, (b, 3)).astype(np.int32)
        self.slots = rng.permutation(N_SLOTS)[:b].astype(np.int32)
        n_pages = int((-(-counts // PAGE_ROWS)).sum())
        self.pages = (1 + rng.permutation(N_PAGES - 1))[:n_pages].astype(np.int32)

    def arrivals(self) -> Arrivals:
        return Arrivals(
            index=self.index,
            mask=np.packbits(self.active, axis=1, bitorder="little"),
            density=Runs.of(self.density),
            sh=Runs.of(self.sh),
            run_start=np.array([0, self.n]),
            row_start=self.row_start,
            slots=self.slots,
            pages=self.pages,
        )


class Filled:
    """A pool, and what stages batches for it."""

    def __init__(
        self,
        dtype: str = "float16",
        *,
        unit: float = 1.0,
        platform: str = "cpu",
        sh_dtype: str = "float16",
    ) -> None:
        device, staged = Device(None, 1), StagedShape(STAGED.rows, sh_dtype)
        kernels = "cpu" if platform == "warp" else platform
        shape = kernel_shape(kernels, brick_size=8, basis_dim=BASIS_DIM, entry_bits=23)
        basis = SphericalHarmonics(BASIS_DIM).basis
        self.programs = _PROGRAMS[platform](device, shape, jnp.dtype(dtype), basis)
        sizes = {"n_slots": N_SLOTS, "n_pages": N_PAGES}
        self.stager = Stager(device, shape, staged, **sizes, unit=unit, memory=plain_memory)
        self.pool = BrickPool(device, self.programs, self.stager, **sizes)
        self.ledger = device.ledger

    def put(self, some: Some) -> None:
        staged = self.stager.stage(some.arrivals())
        for write in self.pool.writers(staged):
            write()
        self.pool.settle(staged)


def densities(pool: BrickPool, dtype: str = "float16") -> np.ndarray:
    """Each voxel's density and that of its neighbour in z, [N_SLOTS, V, 2]."""
    return np.asarray(pool.arrays.density).view(dtype).reshape(N_SLOTS, BRICKS.voxels, 2)


def row_ids_of(pool: BrickPool, slot: int) -> np.ndarray:
    """Row of each voxel of a slot, by the kernel that asks for them when a sample is shaded."""
    shape = kernel_shape("cpu", brick_size=8, basis_dim=BASIS_DIM, entry_bits=23)
    low = np.stack(np.unravel_index(np.arange(BRICKS.voxels), (9, 9, 9)))
    cell = np.minimum(low, 7)  # whose corners lie inside the brick
    corner = ((low - cell) * np.array([[4], [2], [1]])).sum(0)
    first = (slot * BRICKS.voxels + np.ravel_multi_index(tuple(cell), (9, 9, 9))).astype(np.uint32)
    found = corner_rows(jnp.asarray(first), pool.arrays, shape, apply)
    return np.asarray(found)[corner, np.arange(BRICKS.voxels)]


def assert_holds(pool: BrickPool, some: Some, dtype: str, unit: float) -> None:
    arrays, (density, above) = pool.arrays, np.moveaxis(densities(pool, dtype), 2, 0)
    layout = kernel_shape("cpu", brick_size=8, basis_dim=BASIS_DIM, entry_bits=23).layout
    lanes = [layout.lane(f, c) for c in range(3) for f in range(BASIS_DIM)]
    row_ids = np.stack([row_ids_of(pool, slot) for slot in range(N_SLOTS)])
    rows = np.asarray(arrays.rows)[:, lanes]
    first_page = 0
    for b, slot in enumerate(some.slots):
        mine = slice(some.row_start[b], some.row_start[b + 1])
        active, n = some.active[b], mine.stop - mine.start
        expected = device_densities(some.density[mine], unit, np.dtype(dtype))
        np.testing.assert_array_equal(density[slot][active], expected)
        nth = np.arange(n)
        pages = some.pages[first_page + nth // PAGE_ROWS].astype(np.uint32)
        assert (row_ids[slot][active] == pages * PAGE_ROWS + nth % PAGE_ROWS).all()
        first_page += -(-n // PAGE_ROWS)
        assert (rows[row_ids[slot][active]] == some.sh[mine].astype(dtype)).all()
        assert not density[slot][~active].any()
        assert (above[slot][:-1] == density[slot][1:]).all()
        assert not row_ids[slot][~active].any()
        assert np.asarray(arrays.origins)[slot].tolist() == (some.index[b] * 8).tolist()
    assert not rows[0].any(), "an empty corner must find zeros"


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_voxels_of_bricks_that_came_in_are_those_of_the_store(dtype: str, platform: str) -> None:
    some = Some([0.9, 0.02, 0.5, 1.0, 0.3])
    filled = Filled(dtype, unit=0.5, platform=platform)
    filled.put(some)
    assert_holds(filled.pool, some, dtype, 0.5)


def test_coefficients_in_float32_are_rounded_as_numpy_rounds_them(platform: str) -> None:
    some = Some([0.5, 0.1], sh_dtype="float32")
    filled = Filled(sh_dtype="float32", platform=platform)
    filled.put(some)
    assert_holds(filled.pool, some, "float16", 1.0)


def test_batch_of_many_bricks_comes_in_whole(platform: str) -> None:
    some = Some([0.7] * 75)
    assert some.n > 0.9 * STAGED.rows
    filled = Filled(platform=platform)
    filled.put(some)
    assert_holds(filled.pool, some, "float16", 1.0)


def test_second_batch_takes_the_places_of_the_first(platform: str) -> None:
    first, second = Some([0.5] * 9), Some([0.2] * 9)
    assert first.slots.tolist() == second.slots.tolist()
    filled = Filled(platform=platform)
    filled.put(first)
    filled.put(second)
    assert_holds(filled.pool, second, "float16", 1.0)


def test_other_slots_are_not_touched(platform: str) -> None:
    some = Some([0.5, 0.5])
    filled = Filled(platform=platform)
    filled.put(some)
    pool = filled.pool
    others = np.setdiff1d(np.arange(N_SLOTS), some.slots)
    assert not densities(pool)[others].any()
    for table in (pool.arrays.ranks, pool.arrays.pages):
        assert not np.asarray(table).reshape(N_SLOTS, -1)[others].any()
    assert not np.asarray(pool.arrays.origins)[others].any()


def test_densities_beyond_float16_stay_finite(platform: str) -> None:
    some = Some([0.1])
    some.density[:3] = [1e6, -1e6, 3e38]
    for dtype, expected in (
        ("float16", [65504.0, -65504.0, 65504.0]),
        ("float32", np.array([1e6, -1e6, 1e30], np.float32).tolist()),
    ):
        filled = Filled(dtype, platform=platform)
        filled.put(some)
        found = densities(filled.pool, dtype)[some.slots[0], :, 0][some.active[0]][:3]
        assert found.tolist() == expected


def test_arrays_are_written_where_they_are_and_the_old_ones_are_gone(platform: str) -> None:
    filled = Filled(platform=platform)
    pool = filled.pool
    before = pool.arrays
    addresses = [array.unsafe_buffer_pointer() for array in before]
    filled.put(Some([0.4] * 5))
    assert [array.unsafe_buffer_pointer() for array in pool.arrays] == addresses
    assert all(array.is_deleted() for array in before)
    assert not pool.is_lost


@pytest.mark.cpu
def test_batch_goes_up_in_few_transfers_and_is_used_where_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    some, filled = Some([0.4] * 40), Filled()
    sent: list[Any] = []
    put_up = jax.device_put
    monkeypatch.setattr(jax, "device_put", lambda x, d: sent.extend(x) or put_up(x, d))
    held = filled.ledger.sample()
    staged = filled.stager.stage(some.arrivals())
    assert len(sent) <= 8
    assert staged.rows.sh.unsafe_buffer_pointer() == some.sh.ctypes.data
    assert staged.bricks.density.unsafe_buffer_pointer() == some.density.ctypes.data
    assert filled.ledger.sample() == held, "memory of the host is counted there"


def test_bytes_of_a_batch_are_what_the_plan_takes_them_for() -> None:
    filled = Filled()
    structs = filled.programs.structs
    staged = filled.stager.stage(Some([0.2, 0.2]).arrivals())
    assert n_bytes(staged.bricks) == n_bytes(structs.staged_bricks(STAGED))
    assert n_bytes(staged.rows) == n_bytes(structs.staged_rows(STAGED))


def test_as_many_calls_for_a_hundred_bricks_as_for_ten() -> None:
    filled, few, many = Filled(), Some([0.3] * 10), Some([0.3] * 100)
    filled.put(few)
    for_few, for_many = calls_of(lambda: filled.put(few)), calls_of(lambda: filled.put(many))
    assert 0 < for_many <= for_few + 10


def test_programs_of_one_backend_are_not_taken_for_those_of_another() -> None:
    prepare_warp()
    device, staged = Device(None, 1), StagedShape(STAGED.rows, "float16")
    shape = kernel_shape("cpu", brick_size=8, basis_dim=BASIS_DIM, entry_bits=23)
    made_of = device, shape, jnp.dtype("float16"), SphericalHarmonics(BASIS_DIM).basis
    made = [make(*made_of) for make in (_PROGRAMS["warp"], Programs)]
    by_warp, by_xla = (programs.write_rows(N_PAGES, staged) for programs in made)
    assert by_warp.temp_bytes == 0, "kernels of Warp have no temporaries"
    assert by_xla.temp_bytes > 0
