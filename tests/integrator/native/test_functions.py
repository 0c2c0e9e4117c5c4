"""Rows of any number of functions are drawn: from one vector of a row to five."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import plenostream as ps
from plenostream import reference
from plenostream.field.basis import MOST_FUNCTIONS
from plenostream.testing.checkpoints import random_checkpoint
from plenostream.testing.extras import save_with, texture_arrays
from plenostream.testing.pictures import fragile_rays, model_of, open_renderer, rays_around


@pytest.mark.parametrize("precision", ["float16", "float32"])
@pytest.mark.parametrize("dim", range(1, MOST_FUNCTIONS + 1))
def test_any_number_of_functions_is_drawn(dim: int, precision: str, tmp_path: Path) -> None:
    checkpoint = random_checkpoint(dim, size=(9, 10, 8), basis_dim=dim)
    arrays, rays = texture_arrays(dim, resolution=3, dim=dim), rays_around(dim, 200)
    ps.convert(save_with(tmp_path / "a.npz", checkpoint, **arrays), tmp_path / "a.zarr")
    with open_renderer(tmp_path / "a.zarr", precision=precision, backend="native") as renderer:
        got = renderer.render_rays(*rays).rgb
    want = reference.render_rays(model_of(checkpoint, arrays), *rays).rgb
    sound = ~fragile_rays(checkpoint.grid, *rays)
    allowed = 2e-5 if precision == "float32" else 2e-4
    np.testing.assert_allclose(got[sound], want[sound], rtol=0, atol=allowed)
