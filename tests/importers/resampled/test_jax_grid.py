"""Plenoxels in JAX: refused by name, resampled when asked to, and their own picture worked out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import plenostream as ps
from plenostream import reference
from plenostream.cli import main as cli
from plenostream.importers.resampled.convert import convert_foreign
from plenostream.options import ResampleOptions
from plenostream.testing.pictures import rays_around

APPROXIMATE = ResampleOptions(approximate=True)
BRICKS = ps.ConvertOptions(brick_size=8)
SIZE, DIM = 24, 4


def arrays() -> dict[str, NDArray[Any]]:
    """A soft ball in a grid of which a part was pruned, as `save_grid` writes it."""
    rng = np.random.default_rng(1)
    points = np.stack(np.meshgrid(*[np.linspace(-1, 1, SIZE)] * 3, indexing="ij"), -1)
    distance = np.linalg.norm(points, axis=-1)
    kept = distance < 0.8
    indices = np.full(kept.shape, -1, np.int64)
    indices[kept] = np.arange(kept.sum())
    slopes = rng.normal(0, 1.5, (3, 3 * DIM))
    sh = np.sin(points[kept] @ slopes).reshape(-1, DIM, 3).astype(np.float32)
    sigma = np.where(distance < 0.6, 8.0, -0.5)[kept].astype(np.float32)
    made: dict[str, NDArray[Any]] = {"indices": indices, "sigma_grid": sigma}
    return made | {f"sh_grid{number}": sh[:, number] for number in range(DIM)}


def save(folder: Path, **changes: Any) -> Path:
    folder.mkdir()
    for name, values in (arrays() | changes).items():
        if values is not None:
            np.save(folder / f"{name}.npy", values)
    return folder


def ray_by_ray(origins: NDArray[np.float64], dirs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Colours on white, one ray and one sample at a time, in the words of plenoxel.py."""
    held = arrays()
    indices, sigma_grid = held["indices"], held["sigma_grid"]
    sh_grids = [held[f"sh_grid{number}"] for number in range(DIM)]
    radius, voxel = 1.3, 2.6 / SIZE
    colours = []
    for o, d in zip(origins, dirs, strict=True):
        # Of directions of any length: they are homogeneous of degree 0 and 1 here.
        n = np.linalg.norm(d)
        basis = reference.sh_basis(d[None] / n, DIM)[0] * [1, n, n, n]
        ends = np.array([(-radius - o) / d, (radius - o) / d])
        start, stop = ends.min(axis=0).max(), ends.max(axis=0).min()
        if start >= stop:
            colours.append(np.ones(3))
            continue
        z = np.minimum(start + 0.5 * voxel * np.arange(1, 6 * SIZE + 1), stop)
        rgb, left, total = np.zeros(3), 1.0, 0.0
        for here, there in zip(z[:-1], z[1:], strict=True):
            place = np.clip((o + here * d + radius) / voxel - 0.5, 0, SIZE - 1)
            corner = np.minimum(np.floor(place).astype(int), SIZE - 2)
            x, y, w = place - corner
            sigma, sh = 0.0, np.zeros((3, DIM))
            for i, j, k in np.ndindex(2, 2, 2):
                share = (x if i else 1 - x) * (y if j else 1 - y) * (w if k else 1 - w)
                row = indices[corner[0] + i, corner[1] + j, corner[2] + k]
                if row >= 0:
                    sigma += share * sigma_grid[row]
                    sh += share * np.stack([grid[row] for grid in sh_grids], axis=1)
            alpha = 1 - np.exp(-max(sigma, 0) * (there - here) * n)
            rgb += left * alpha / (1 + np.exp(-(sh @ basis)))
            total += left * alpha
            left *= 1 - alpha + 1e-10
        colours.append(rgb + 1 - total)
    return np.array(colours)


def test_is_refused_by_name_with_the_way_to_approximate(tmp_path: Path) -> None:
    with pytest.raises(ps.CheckpointError, match="Plenoxels in JAX.*--approximate"):
        convert_foreign(save(tmp_path / "g"), tmp_path / "s", ResampleOptions())
    assert [path.name for path in tmp_path.iterdir()] == ["g"]


def test_rays_see_what_plenoxel_py_says(tmp_path: Path) -> None:
    _, model = convert_foreign(save(tmp_path / "g"), tmp_path / "s", APPROXIMATE, BRICKS)
    origins, dirs = rays_around(3, 60, radius=0.8)
    outside = np.abs(origins).max(axis=1) > 1.4
    origins, dirs = origins[outside], 1.3 * dirs[outside]
    expected = ray_by_ray(origins, dirs)
    assert (expected.min(axis=1) < 0.9).mean() > 0.3
    np.testing.assert_allclose(model.see(origins, dirs), expected, atol=1e-6)


def test_densities_are_those_of_the_grid(tmp_path: Path) -> None:
    # Without colour all that is left of a picture is its transmittance.
    black = {
        f"sh_grid{n}": np.full((len(arrays()["sigma_grid"]), 3), -300.0 * (n == 0))
        for n in range(DIM)
    }
    _, model = convert_foreign(save(tmp_path / "g", **black), tmp_path / "s", APPROXIMATE, BRICKS)
    origins, dirs = rays_around(5, 300, radius=0.8)
    # plenoxel.py draws what lies behind an eye, too.
    ahead = (np.abs(origins).max(axis=1) > 1.4) & ((origins * dirs).sum(axis=1) < 0)
    origins, dirs = origins[ahead], dirs[ahead]
    stream = ps.StreamOptions(precision="float32")
    with ps.open_scene(tmp_path / "s") as scene, ps.Renderer(scene, stream=stream) as renderer:
        assert scene.grid == ps.GridSpec(size=(SIZE,) * 3, radius=(1.3,) * 3)
        seen = renderer.render_rays(origins, dirs)
    # Samples begin half a voxel later than svox2's, on the same lattice.
    np.testing.assert_allclose(1 - seen.alpha, model.see(origins, dirs)[:, 0], atol=2e-3)


def test_command_says_how_far_the_picture_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save(tmp_path / "g")
    arguments = ["convert", str(folder), str(tmp_path / "s"), "--approximate", "--radius", "2"]
    assert cli.main(arguments) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("picture   ")
    assert 25 < float(last.split()[1]) < 70
    with ps.open_scene(tmp_path / "s") as scene:
        assert scene.grid.radius == (2.0,) * 3


def test_radius_is_for_those_alone(
    tmp_path: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["convert", str(tiny_checkpoint), str(tmp_path / "s"), "--radius", "2"]) == 2
    assert "--radius belongs to Plenoxels in JAX" in capsys.readouterr().err


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "row that is not there": ({"indices": np.full((SIZE,) * 3, 10**6)}, "names row 1000000"),
    "flat": ({"indices": np.zeros((4, 4), int)}, r"expected integers \[n, n, n\]"),
    "links in floats": ({"indices": np.zeros((4, 4, 4))}, r"expected integers \[n, n, n\]"),
    "odd basis": ({"sh_grid3": None}, r"has the coefficients \[0, 1, 2\]"),
    "gap": ({"sh_grid0": None}, r"has the coefficients \[1, 2, 3\]"),
    "fewer colours": ({"sh_grid1": np.zeros((5, 3))}, "expected floating point"),
    "columns of densities": ({"sigma_grid": np.zeros((5, 1))}, "expected floating point"),
    "NaN": ({"sigma_grid": np.full(len(arrays()["sigma_grid"]), np.nan)}, "not finite"),
    "objects": ({"sh_grid2": np.array([{}])}, "pickled Python objects"),
}


@pytest.mark.parametrize("case", BAD)
def test_damaged_grid_is_refused_and_leaves_nothing(tmp_path: Path, case: str) -> None:
    changes, message = BAD[case]
    folder = save(tmp_path / "g", **changes)
    with pytest.raises(ps.CheckpointError, match=message):
        convert_foreign(folder, tmp_path / "s", APPROXIMATE, BRICKS)
    assert [path.name for path in tmp_path.iterdir()] == ["g"]
