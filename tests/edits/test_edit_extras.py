"""Edits keep background layers, learned bases and other coordinates, or say why they cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plenostream as ps
from plenostream import edits
from plenostream.errors import BrickCorrupt, InvalidInput
from plenostream.testing.checkpoints import random_checkpoint
from plenostream.testing.extras import layer_arrays, network_arrays, save_with, texture_arrays
from plenostream.testing.pictures import open_renderer, rays_around

SIZE = (20, 18, 17)
NDC = (100.0, 80.0, 90.0, 91.0)
EXTRAS: dict[str, tuple[dict[str, Any], int, dict[str, Any]]] = {
    "layers": (layer_arrays(1, height=11, layers=4), 4, {}),
    "texture": (texture_arrays(2, resolution=7, dim=7), 7, {}),
    "network": (network_arrays(3, dim=12), 12, {}),
    "ndc": ({}, 4, {"ndc": NDC}),
}
Make = Callable[..., Path]


@pytest.fixture(scope="module")
def scene_of(tmp_path_factory: pytest.TempPathFactory) -> Make:
    folder = tmp_path_factory.mktemp("extras")

    def scene_of(name: str, seed: int = 4, **frame: Any) -> Path:
        path = folder / f"{name}{seed}{len(frame)}.zarr"
        if not path.exists():
            arrays, dim, options = EXTRAS[name] if name in EXTRAS else ({}, 4, {})
            source = random_checkpoint(
                seed, size=SIZE, basis_dim=dim, active_share=0.15, **({"center": (0, 0, 1)} | frame)
            )
            source_file = save_with(folder / f"{path.stem}.npz", source, **arrays)
            ps.convert(source_file, path, ps.ConvertOptions(**options))
        return path

    return scene_of


def seen(scene: Path, shift: tuple[float, ...] = (0.0, 0.0, 0.0)) -> np.ndarray:
    origins, dirs = rays_around(6, 400, radius=2.0)
    with open_renderer(scene, precision="float32") as renderer:
        picture = renderer.render_rays(origins + shift, dirs)
    return np.concatenate([picture.rgb, picture.alpha[:, None]], axis=-1)


def halves(scene: Path, folder: Path) -> tuple[Path, Path]:
    """Two parts in the grid of the whole."""
    for name, box in {"a": (0, 0, 0, 9, 18, 17), "b": (9, 0, 0, 20, 18, 17)}.items():
        edits.crop(scene, folder / name, box, units="voxels", keep_grid=True)
    return folder / "a", folder / "b"


SAME: dict[str, Callable[[Path, Path], object]] = {
    "crop and merge": lambda scene, out: edits.merge(halves(scene, out.parent), out),
    "prune": edits.prune,
    "resample": lambda scene, out: edits.resample(scene, out, 1.0),
}


@pytest.mark.parametrize("edit", SAME)
@pytest.mark.parametrize("name", EXTRAS)
def test_picture_is_the_same_with_all_that_lies_beside_the_voxels(
    name: str, edit: str, scene_of: Make, tmp_path: Path
) -> None:
    scene = scene_of(name)
    SAME[edit](scene, tmp_path / "out")
    report = ps.verify(tmp_path / "out")
    assert report.ok, report.lines()
    with ps.open_scene(scene) as before, ps.open_scene(tmp_path / "out") as after:
        for part in ("background", "learned", "ndc"):
            assert getattr(after.meta, part) == getattr(before.meta, part)
    expected = seen(scene)
    np.testing.assert_array_equal(seen(tmp_path / "out"), expected)
    assert (expected[:, 3] > 0.1).mean() > 0.2


def test_layers_are_those_of_the_box_in_any_grid(scene_of: Make, tmp_path: Path) -> None:
    scene = scene_of("layers")
    edits.resample(scene, tmp_path / "finer", 2.0)
    edits.transform(scene, tmp_path / "moved", center=(8.0, -4.0, 1.5))
    thin = tmp_path / "thin"
    edits.prune(scene, thin, min_density=1e9)
    edits.resample(thin, tmp_path / "thin finer", 2.0)
    assert ps.verify(tmp_path / "finer").ok
    np.testing.assert_allclose(
        seen(tmp_path / "moved", (8.0, -4.0, 0.5)), seen(scene), rtol=0, atol=1e-4
    )
    # Without voxels, layers alone are seen: they know nothing of the grid.
    np.testing.assert_allclose(seen(tmp_path / "thin finer"), seen(thin), rtol=0, atol=1e-5)


def test_what_has_no_layers_is_merged_into_what_has(scene_of: Make, tmp_path: Path) -> None:
    room, chair = scene_of("layers"), scene_of("plain", 7)
    edits.merge([chair, room], tmp_path / "out", overlap="first")
    with ps.open_scene(room) as one, ps.open_scene(tmp_path / "out") as made:
        assert made.meta.background == one.meta.background
    assert ps.verify(tmp_path / "out").ok


def test_what_does_not_go_together_is_refused_with_the_reason(
    scene_of: Make, tmp_path: Path
) -> None:
    out, layers = tmp_path / "out", scene_of("layers")
    with pytest.raises(InvalidInput, match="around another one.*--keep-grid"):
        edits.crop(layers, out, (0, 0, 0, 9, 18, 17), units="voxels")
    with pytest.raises(InvalidInput, match="layers, which lie around its volume"):
        edits.merge([layers, scene_of("plain")], out, shifts=[(5, 0, 0)])
    other = tmp_path / "other.npz"
    save_with(other, random_checkpoint(4, size=SIZE, basis_dim=4), **layer_arrays(8))
    ps.convert(other, tmp_path / "other")
    with pytest.raises(InvalidInput, match="different background layers"):
        edits.merge([layers, tmp_path / "other"], out, shifts=[(0, 0, 0)])
    with pytest.raises(InvalidInput, match=r"different bases \(texture and MLP\)"):
        edits.merge([scene_of("texture"), scene_of("network")], out)
    with pytest.raises(InvalidInput, match="not in the same normalised device coordinates"):
        edits.merge([scene_of("plain"), scene_of("ndc")], out)
    with pytest.raises(InvalidInput, match="bent in the world, not moved"):
        edits.transform(scene_of("ndc"), out, center=(1, 1, 1))
    assert not out.exists()


def test_damaged_layers_are_found_when_they_are_handed_on(scene_of: Make, tmp_path: Path) -> None:
    scene = tmp_path / "scene"
    edits.prune(scene_of("layers"), scene)
    links = scene / "background" / "links" / "c" / "0" / "0"
    stored = bytearray(links.read_bytes())
    stored[40] ^= 1
    links.write_bytes(stored)
    with pytest.raises(BrickCorrupt, match="background/links"):
        edits.prune(scene, tmp_path / "out")
    assert not (tmp_path / "out").exists()
