"""Every kernel lowers for an NVIDIA GPU, with the block sizes it has there; no GPU is needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import pytest

from plenostream.field.basis import SphericalHarmonics
from plenostream.field.grid import BrickGrid
from plenostream.integrator.xla.blocks import walk_size
from plenostream.integrator.xla.device import Device
from plenostream.integrator.xla.kernels.tuning import kernel_shape
from plenostream.integrator.xla.programs import Programs
from plenostream.integrator.xla.structs import StagedShape
from plenostream.testing.sources import PACKETS, PIXELS

N_SLOTS, N_PAGES, TILES = 3000, 200_000, 10_048
"""A pool of 300 MB, and a picture of 800 x 800."""
WORDS, STEPS = walk_size(BrickGrid(size=(512, 512, 512), brick_size=16))

SIZES: dict[str, tuple[Any, ...]] = {
    "compose": (TILES,),
    "empty_pool": (N_SLOTS, N_PAGES),
    "integrate": (TILES, N_SLOTS, N_PAGES),
    "keys": (TILES,),
    "live_tiles": (TILES,),
    "set_up": (PIXELS, TILES),
    "walk": (TILES, WORDS, STEPS),
    "write_bricks": (N_SLOTS, StagedShape(65_552, "float16")),
    "write_rows": (N_PAGES, StagedShape(65_552, "float16")),
}


class Recorder(Programs):
    """Keeps what would be compiled."""

    def _program(  # type: ignore[override]
        self,
        key: tuple[Any, ...],
        function: Callable[..., Any],
        args: Callable[[], tuple[Any, ...]],
        donate: tuple[int, ...] = (),
    ) -> tuple[Callable[..., Any], tuple[Any, ...], tuple[int, ...]]:
        anywhere = jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape, s.dtype), args())
        return function, anywhere, donate


def lowered_for_cuda(name: str, *, basis_dim: int, dtype: str) -> jax.export.Exported:
    shape = kernel_shape("gpu", brick_size=16, basis_dim=basis_dim, entry_bits=21)
    basis = SphericalHarmonics(basis_dim).basis
    recorder = Recorder(Device(None, 1), shape, jnp.dtype(dtype), basis)
    with jax.enable_x64(True):
        function, args, donate = getattr(recorder, name)(*SIZES[name])
        jitted = jax.jit(function, donate_argnums=donate)
        return jax.export.export(jitted, platforms=["cuda"])(*args)


def test_every_program_that_there_is_is_lowered_here() -> None:
    makers = {
        name
        for name, maker in vars(Programs).items()
        if not name.startswith("_") and not name.endswith("structs") and callable(maker)
    }
    assert makers == set(SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_kernel_lowers_for_cuda(name: str) -> None:
    exported = lowered_for_cuda(name, basis_dim=9, dtype="float16")
    assert exported.platforms == ("cuda",)
    assert len(exported.mlir_module_serialized) > 0


@pytest.mark.parametrize(("basis_dim", "dtype"), [(1, "float16"), (9, "float32"), (25, "float16")])
def test_integrator_lowers_for_cuda_with_any_basis_and_precision(
    basis_dim: int, dtype: str
) -> None:
    exported = lowered_for_cuda("integrate", basis_dim=basis_dim, dtype=dtype)
    assert exported.platforms == ("cuda",)


def test_any_rays_are_set_up_on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIZES, "set_up", (PACKETS, TILES))
    exported = lowered_for_cuda("set_up", basis_dim=9, dtype="float16")
    assert exported.platforms == ("cuda",)


def test_integrator_on_cuda_calls_nothing_that_only_a_host_has() -> None:
    module = lowered_for_cuda("integrate", basis_dim=9, dtype="float16").mlir_module()
    assert "custom_call" not in module.replace("@Sharding", "")
