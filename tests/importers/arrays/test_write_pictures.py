"""Pictures of scenes from arrays are those of all their voxels, by the oracle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fields import Field, blobs

import plenostream as ps
from plenostream import reference
from plenostream.testing.pictures import fragile_rays, model_of, open_renderer, rays_around
from plenostream.testing.recorded import largest_difference

ORACLE = 2e-5
"""What the recorded random cases allow a float32 renderer."""


def sheet() -> Field:
    """A thin bent sheet of bright colours in an otherwise empty, dark grid."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in (40, 50, 44)), indexing="ij")
    density = np.clip(30.0 * (0.12 - np.abs(z - 0.3 * np.sin(4 * x) * y)), 0.0, None)
    colours = np.stack([0.5 + 0.5 * np.sin(5 * x), 0.5 + 0.5 * y, np.where(z > 0, 1.0, 0.0)], -1)
    return Field(density=density.astype(np.float32), colours=colours.astype(np.float32))


FIELDS = {
    "sheet": sheet(),
    "negative densities": blobs(7, (30, 22, 26), share=0.2),
    "coefficients": blobs(8, (20, 20, 20), basis_dim=9, share=0.1),
}


@pytest.mark.parametrize("name", FIELDS)
def test_rays_see_what_they_see_in_all_voxels(tmp_path: Path, name: str) -> None:
    field = FIELDS[name]
    ps.write_scene(tmp_path / "s", field.grid, field.box, basis_dim=field.basis_dim)
    origins, dirs = rays_around(5, 1500)
    every_voxel = model_of(field.checkpoint(every_voxel=True))
    expected = reference.render_rays(every_voxel, origins, dirs, background=0.25)
    with open_renderer(
        tmp_path / "s", options={"background": 0.25}, precision="float32"
    ) as renderer:
        seen = renderer.render_rays(origins, dirs)
    fragile = fragile_rays(field.grid, origins, dirs)
    assert (expected.trans < 0.9).mean() > 0.1
    assert largest_difference(seen.rgb, expected.rgb, fragile=fragile) <= ORACLE
    assert largest_difference(1.0 - seen.alpha, expected.trans, fragile=fragile) <= ORACLE
    assert largest_difference(seen.depth, expected.depth, fragile=fragile) <= 5 * ORACLE
