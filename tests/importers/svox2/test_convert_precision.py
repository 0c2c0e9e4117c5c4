"""Densities and coefficients that a scene rounds, and those that nobody could draw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conversions import contents, meta_of, options

from plenostream.errors import CheckpointError, InvalidInput
from plenostream.format.verify import verify
from plenostream.importers.svox2.convert import convert
from plenostream.testing.checkpoints import random_checkpoint
from plenostream.testing.extras import save_with


def test_float16_rounds_densities_and_coefficients(tmp_path: Path) -> None:
    arrays = random_checkpoint(6, sh_dtype=np.float32)
    density = arrays.density * np.float32(1.001)
    density[:2] = 1e6, -1e6
    path = save_with(tmp_path / "a.npz", arrays, density_data=density)
    report = convert(path, tmp_path / "s", options(dtype="float16"))
    convert(path, tmp_path / "exact", options())
    rounded, exact = contents(tmp_path / "s"), contents(tmp_path / "exact")
    per_unit = np.clip(exact["rows/density"] / 8, -65504, 65504).astype(np.float16)
    np.testing.assert_array_equal(rounded["rows/density"], per_unit.astype(np.float32) * 8)
    np.testing.assert_array_equal(rounded["rows/sh"], exact["rows/sh"].astype(np.float16))
    assert rounded["rows/sh"].dtype == np.float16
    assert report.density_rounding == 1e6 - 65504 * 8
    assert meta_of(tmp_path / "s").density_rounding == 0
    assert verify(tmp_path / "s").ok


@pytest.mark.parametrize("radius", [1.3e-6, 1.0, 0.7, 1.7e6])
def test_float16_keeps_densities_to_eleven_bits_in_every_unit_of_length(
    tmp_path: Path, radius: float
) -> None:
    arrays = random_checkpoint(6)
    density = (arrays.density * 1.001 / radius).astype(np.float32)
    density[:2] = 3.3e-12 / radius, -3.3e-12 / radius
    path = save_with(tmp_path / "a.npz", arrays, density_data=density, radius=np.float32(radius))
    report = convert(path, tmp_path / "s", options(dtype="float16"))
    convert(path, tmp_path / "exact", options())
    rounded, exact = (contents(tmp_path / name)["rows/density"] for name in ("s", "exact"))
    assert 0 < report.density_rounding <= np.abs(density).max() * 2.0**-11
    assert np.abs(rounded - exact).max() <= report.density_rounding * 1.000001
    assert np.array_equal(rounded > 0, exact > 0)
    assert meta_of(tmp_path / "s").density_rounding == 0
    assert meta_of(tmp_path / "exact").density_rounding == report.density_rounding
    assert verify(tmp_path / "s").ok
    assert verify(tmp_path / "exact").ok


def test_scene_that_nobody_could_draw_is_refused_before_it_is_converted(tmp_path: Path) -> None:
    path = save_with(tmp_path / "a.npz", random_checkpoint(6), radius=np.float32(1e-39))
    with pytest.raises(InvalidInput, match="another unit of length"):
        convert(path, tmp_path / "s", options())
    assert list(tmp_path.iterdir()) == [path]


def test_coefficient_beyond_float16_is_refused_when_that_is_asked_for(tmp_path: Path) -> None:
    arrays = random_checkpoint(6, sh_dtype=np.float32)
    arrays.sh[3, 4] = 70_000
    path = save_with(tmp_path / "a.npz", arrays)
    convert(path, tmp_path / "s", options())
    with pytest.raises(CheckpointError, match="a coefficient is 70000"):
        convert(path, tmp_path / "h", options(dtype="float16"))


def test_rounding_of_densities_is_reported(tmp_path: Path) -> None:
    source = random_checkpoint(5, size=(40, 21, 26), active_share=0.2)
    density = source.density.copy()
    density[10] = 2049.0  # float16 holds 2048 and 2050
    report = convert(
        save_with(tmp_path / "a.npz", source, density_data=density), tmp_path / "s", options()
    )
    assert report.density_rounding == 1.0
