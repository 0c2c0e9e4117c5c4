"""Background layers are seen as the oracle sees them, in NumPy and compiled, with few chunks too."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from plenostream import reference_extras
from plenostream.errors import DeviceError
from plenostream.field.background import (
    CORNERS,
    BackgroundLayers,
    OutwardRays,
    SeeLayers,
    see_layers,
)
from plenostream.field.basis import C0
from plenostream.integrator.native.layers import compiled_layers
from plenostream.integrator.native.library import load_kernels
from plenostream.testing.extras import layer_arrays

CLOSE = 3e-6
"""Texels are blended in float32; densities reach 10 and colours 1.5."""
CENTER, RADIUS = np.array([0.1, -0.2, 0.05]), np.array([1.0, 0.7, 1.3])
STEP, STOP = 0.5, 1e-7


def rays(n: int, seed: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Origins and directions [3, n] from in and outside, of any length, and light [n] that is left."""
    rng = np.random.default_rng(seed)
    origins, dirs = rng.normal(0.0, 1.5, (2, 3, n))
    return origins, dirs * rng.uniform(0.1, 10.0, n), rng.uniform(0.0, 1.0, n)


def layers_of(
    arrays: dict[str, Any], *, chunk_rows: int = 7, n_slots: int | None = None, **options: float
) -> BackgroundLayers:
    """The layers in chunks of rows: all in memory, or none yet, with room for some."""
    data, of = arrays["background_data"], {"step_size": STEP, "stop_thresh": STOP} | options
    n_chunks = -(-len(data) // chunk_rows)
    texels = np.zeros((n_slots or n_chunks, chunk_rows, *data.shape[1:]), np.float32)
    if n_slots is None:
        texels.reshape(-1, *data.shape[1:])[: len(data)] = data
    return BackgroundLayers(
        links=arrays["background_links"],
        texels=texels,
        slot_of=np.arange(n_chunks, dtype=np.int32)
        if n_slots is None
        else np.full(n_chunks, -1, np.int32),
        center=CENTER,
        radius=RADIUS,
        **of,
    )


@pytest.fixture(params=["numpy", "compiled"])
def look(request: pytest.FixtureRequest) -> SeeLayers:
    if request.param == "numpy":
        return see_layers
    try:
        return compiled_layers(load_kernels())
    except DeviceError as error:
        pytest.skip(f"no compiled kernels: {error}")


def see(
    look: SeeLayers, layers: BackgroundLayers, *rays: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    outward = OutwardRays.leaving(*rays)
    assert len(look(layers, outward)) == 0
    return outward.colour, outward.trans


def oracle(
    arrays: dict[str, Any],
    origins: np.ndarray,
    dirs: np.ndarray,
    trans: np.ndarray,
    **options: float,
) -> tuple[np.ndarray, np.ndarray]:
    layers = reference_extras.stored_layers(arrays)
    assert layers is not None
    unit = (dirs / np.linalg.norm(dirs, axis=0)).T
    return reference_extras.see_layers(
        layers,
        (origins.T - CENTER) / RADIUS,
        unit / RADIUS,
        trans,
        **({"step_size": STEP, "stop_thresh": STOP} | options),
    )


@pytest.mark.parametrize("share", [1.0, 0.4], ids=["full", "sparse"])
@pytest.mark.parametrize("options", [{}, {"step_size": 0.3}, {"stop_thresh": 0.2}], ids=str)
def test_layers_are_the_oracles(look: SeeLayers, share: float, options: dict[str, float]) -> None:
    arrays = layer_arrays(1, share=share)
    some = rays(200)
    layers = layers_of(arrays, **options)
    for got, want in zip(see(look, layers, *some), oracle(arrays, *some, **options), strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=CLOSE)


def test_poles_and_the_seam_wrap_round(look: SeeLayers) -> None:
    arrays = layer_arrays(3, height=4, layers=2, share=1.0)
    # Along y to the poles, and along -z, where the angle around jumps from pi to -pi.
    ways = np.array([[0, 1, 0], [0, -1, 0], [0, 0, -1], [1e-9, 0, -1], [-1e-9, 0, -1]], float).T
    origins, light = np.repeat(CENTER[:, None], 5, axis=1), np.ones(5)
    got, want = (
        see(look, layers_of(arrays), origins, ways, light),
        oracle(arrays, origins, ways, light),
    )
    np.testing.assert_allclose(got[0], want[0], rtol=0, atol=CLOSE)
    np.testing.assert_allclose(got[0][3], got[0][4], rtol=0, atol=1e-6)


def test_two_equal_layers_are_a_slab_in_inverse_radius(look: SeeLayers) -> None:
    # From the centre of a unit sphere, everything from radius 1 outward has the same density.
    density, n_spheres = 2.0, 2 / STEP + 2
    data = np.zeros((1, 2, 4), np.float32)
    data[..., :3], data[..., 3] = np.array([1.0, 0.0, -1.0]), density
    arrays = {"background_links": np.zeros((8, 4), np.int32), "background_data": data}
    layers = replace(layers_of(arrays), center=np.zeros(3), radius=np.ones(3))
    colour, trans = see(
        look, layers, np.zeros((3, 1)), np.array([[0.3], [0.5], [-0.8]]), np.ones(1)
    )
    left = np.exp(-density * (1.0 - 0.5 / n_spheres))
    np.testing.assert_allclose(trans, left, rtol=1e-6)
    np.testing.assert_allclose(
        colour[0], (1.0 - left) * (0.5 + C0 * np.array([1.0, 0.0, -1.0])), rtol=1e-6
    )


def test_opaque_rays_see_nothing(look: SeeLayers) -> None:
    origins, dirs, _ = rays(20)
    colour, trans = see(look, layers_of(layer_arrays(1)), origins, dirs, np.zeros(20))
    assert not colour.any()
    assert not trans.any()


def test_any_four_chunks_at_a_time_give_the_same(look: SeeLayers) -> None:
    arrays, some = layer_arrays(1, height=12, layers=4), rays(200)
    whole = see(look, layers_of(arrays), *some)
    part, outward = layers_of(arrays, n_slots=CORNERS), OutwardRays.leaving(*some)
    data, held, calls = arrays["background_data"], deque(range(CORNERS)), 0
    while len(wanted := look(part, outward)):
        assert (calls := calls + 1) < 200 * part.n_spheres, "it does not go on"
        assert len(set(wanted.tolist())) == len(wanted)
        part.slot_of[:] = -1
        for slot, chunk in zip(held, wanted.tolist(), strict=False):
            rows = data[chunk * 7 : chunk * 7 + 7]
            part.texels[slot, : len(rows)], part.slot_of[chunk] = rows, slot
    assert calls > len(part.slot_of) / CORNERS
    for got, want in zip((outward.colour, outward.trans), whole, strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)
