"""Programs compiled ahead of time: counted, shared, with temporaries that depend on no array."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

from plenostream.errors import DeviceError
from plenostream.field.basis import SphericalHarmonics
from plenostream.integrator.interface import PAGE_ROWS
from plenostream.integrator.xla.compiled import compiled_once
from plenostream.integrator.xla.device import Device
from plenostream.integrator.xla.kernels.state import KernelShape
from plenostream.integrator.xla.kernels.tuning import kernel_shape
from plenostream.integrator.xla.programs import Program, Programs
from plenostream.integrator.xla.structs import StagedShape, n_bytes
from plenostream.testing.sources import PIXELS

pytestmark = pytest.mark.slow

SHAPE = kernel_shape("cpu", brick_size=8, basis_dim=1, entry_bits=23)
N_SLOTS, N_PAGES = 40, 600


def make_programs(shape: KernelShape = SHAPE, dtype: str = "float16") -> Programs:
    basis = SphericalHarmonics(shape.basis_dim).basis
    return Programs(Device(None, 1), shape, jnp.dtype(dtype), basis)


def pool_bytes(programs: Programs, n_slots: int, n_pages: int) -> int:
    return n_bytes(programs.structs.pool(n_slots, n_pages))


@pytest.mark.parametrize(("name", "n"), [("write_bricks", N_SLOTS), ("write_rows", N_PAGES)])
def test_upload_takes_no_second_pool_however_large_the_pool_is(name: str, n: int) -> None:
    programs, staged = make_programs(), StagedShape(4096 + PAGE_ROWS, "float16")
    small = getattr(programs, name)(n, staged).temp_bytes
    large = getattr(programs, name)(20 * n, staged).temp_bytes
    assert large - small < 0.01 * pool_bytes(programs, 20 * N_SLOTS, 20 * N_PAGES)


@pytest.mark.slow
def test_temporaries_of_the_integrator_do_not_grow_with_rays_or_pool() -> None:
    programs = make_programs()
    small = programs.integrate(64, N_SLOTS, N_PAGES).temp_bytes
    assert 0 < programs.integrate(1024, 8 * N_SLOTS, 8 * N_PAGES).temp_bytes <= 1.05 * small


def test_setting_up_rays_takes_float64_for_some_tiles_at_a_time_only() -> None:
    programs = make_programs()
    small, large = (programs.set_up(PIXELS, tiles).temp_bytes for tiles in (64, 4096))
    # Twelve float64 numbers a ray would be 25 MB.
    assert large <= small + 100_000


def test_kernel_running_is_counted_with_its_temporaries_and_its_result() -> None:
    device = Device(None, 1)
    programs = Programs(device, SHAPE, jnp.dtype("float16"), SphericalHarmonics(1).basis)
    empty_pool = programs.empty_pool(N_SLOTS, N_PAGES)
    device.ledger.take_peak()
    pool = empty_pool()
    held = sum(array.nbytes for array in pool)
    assert held == pool_bytes(programs, N_SLOTS, N_PAGES)
    assert device.ledger.sample() == held
    assert device.ledger.take_peak() >= max(held, empty_pool.temp_bytes)


def test_failure_of_the_device_is_named_with_its_kernel() -> None:
    class Exhausted:
        def memory_analysis(self) -> SimpleNamespace:
            return SimpleNamespace(temp_size_in_bytes=10)

        def __call__(self, *_: object) -> None:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")

    device = Device(None, 1)
    program = Program("integrate", Exhausted(), device)
    with pytest.raises(DeviceError, match="integrate failed on .*out of memory"):
        program()
    assert device.ledger.sample() == 0


def test_program_is_compiled_once_for_each_size() -> None:
    shape = kernel_shape("cpu", brick_size=8, basis_dim=4, entry_bits=20)
    programs = make_programs(shape)
    for tiles in (64, 128, 64, 128, 128):
        programs.live_tiles(tiles)
    assert programs.n_compiles == 2


def test_what_another_renderer_compiled_is_not_compiled_again() -> None:
    shape = kernel_shape("cpu", brick_size=8, basis_dim=4, entry_bits=19)
    first, second = make_programs(shape), make_programs(shape)
    assert first.live_tiles(64) is not second.live_tiles(64)
    assert (first.n_compiles, second.n_compiles) == (1, 0)


@pytest.mark.parametrize("differs", ["shape", "precision", "size"])
def test_program_of_anything_else_is_another_one(differs: str) -> None:
    shape = kernel_shape("cpu", brick_size=8, basis_dim=4, entry_bits=18)
    other_shape = kernel_shape("cpu", brick_size=8, basis_dim=4, entry_bits=17)
    make_programs(shape).empty_pool(5, 6)
    other = make_programs(
        other_shape if differs == "shape" else shape,
        "float32" if differs == "precision" else "float16",
    )
    other.empty_pool(5 + (differs == "size"), 6)
    assert other.n_compiles == 1


def lowered_once(calls: list[int]) -> Callable[[], jax.stages.Compiled]:
    def compile_it() -> jax.stages.Compiled:
        calls.append(1)
        return jax.jit(lambda x: x + 1).lower(jnp.zeros(3, jnp.float32)).compile()

    return compile_it


def test_threads_that_want_the_same_program_compile_it_once() -> None:
    calls: list[int] = []
    found: list[tuple[jax.stages.Compiled, bool]] = []
    barrier = threading.Barrier(8)

    def want() -> None:
        barrier.wait()
        found.append(compiled_once(("eight threads",), lowered_once(calls)))

    threads = [threading.Thread(target=want) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert len({id(program) for program, _ in found}) == 1
    assert sorted(new for _, new in found) == [False] * 7 + [True]


def test_program_that_failed_to_compile_is_tried_again() -> None:
    def fail() -> jax.stages.Compiled:
        raise MemoryError("no room")

    with pytest.raises(MemoryError):
        compiled_once(("fails at first",), fail)
    calls: list[int] = []
    assert compiled_once(("fails at first",), lowered_once(calls))[1]
    assert calls == [1]
