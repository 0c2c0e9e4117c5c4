"""`merge` gives every voxel of its scenes, one scene's values where several store it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dense import assert_holds, dense

import plenostream as ps
from plenostream.edits import crop, merge, transform
from plenostream.errors import InvalidInput
from plenostream.testing.checkpoints import CheckpointArrays, from_dense, random_checkpoint
from plenostream.testing.pictures import open_renderer, rays_around
from plenostream.testing.scenes import write_checkpoint_plain

ONE = random_checkpoint(1, size=(40, 20, 24), active_share=0.2)
OTHER = random_checkpoint(2, size=(40, 20, 24), active_share=0.2)


def written(path: Path, checkpoint: CheckpointArrays, brick_size: int = 8) -> Path:
    write_checkpoint_plain(path, checkpoint, brick_size=brick_size)
    return path


def test_parts_of_a_scene_make_it_again(
    gyroid: CheckpointArrays, make_scene: Callable[..., Path], tmp_path: Path
) -> None:
    whole = make_scene(gyroid)
    boxes = {"a": (0, 0, 0, 19, 48, 48), "b": (19, 0, 0, 48, 30, 48), "c": (19, 30, 0, 48, 48, 48)}
    for name, box in boxes.items():
        crop(whole, tmp_path / name, box, units="voxels")
    report = merge([tmp_path / name for name in boxes], tmp_path / "merged")
    assert_holds(tmp_path / "merged", gyroid, tmp_path, 16)
    assert report.n_voxels == np.count_nonzero(gyroid.links >= 0)
    origins, dirs = rays_around(4, 500)
    pictures = []
    for scene in (whole, tmp_path / "merged"):
        with open_renderer(scene) as renderer:
            pictures.append(renderer.render_rays(origins, dirs).rgb)
    np.testing.assert_array_equal(pictures[1], pictures[0])


@pytest.mark.parametrize("overlap", ["denser", "first", "last"])
def test_voxels_of_several_scenes_are_those_of_one(overlap: str, tmp_path: Path) -> None:
    (a, density_a, sh_a), (b, density_b, sh_b) = dense(ONE), dense(OTHER)
    of_b = {"first": b & ~a, "last": b, "denser": b & (~a | (density_b > density_a))}[overlap]
    expected = from_dense(
        a | b, np.where(of_b, density_b, density_a), np.where(of_b[..., None], sh_b, sh_a)
    )
    scenes = [written(tmp_path / "a", ONE), written(tmp_path / "b", OTHER, brick_size=16)]
    merge(scenes, tmp_path / "merged", overlap=overlap)  # type: ignore[arg-type]
    assert (a & b).sum() > 100
    assert_holds(tmp_path / "merged", expected, tmp_path, 8)


def test_shifts_lay_scenes_wherever_they_are_in_the_world(tmp_path: Path) -> None:
    shift = np.array([-5, 12, 30])
    moved = written(tmp_path / "b", replace(OTHER, center=(3.3, -1.0, 0.123)))
    size = np.array([45, 32, 54])
    first, second = np.array([5, 0, 0]), np.array([0, 12, 30])
    active = np.zeros(size, np.bool_)
    density, sh = np.zeros(size), np.zeros((*size, 27))
    for checkpoint, at in ((ONE, first), (OTHER, second)):
        part = tuple(map(slice, at, at + checkpoint.size))
        for values, own in zip((active, density, sh), dense(checkpoint), strict=True):
            values[part] = own  # the two do not meet
    edge = 2.0 / np.array(ONE.size)
    lower = -1.0 - first * edge
    expected = from_dense(
        active,
        density,
        sh,
        radius=tuple((size * edge / 2).tolist()),
        center=tuple((lower + size * edge / 2).tolist()),
    )
    merge([written(tmp_path / "a", ONE), moved], tmp_path / "merged", shifts=[shift])
    assert_holds(tmp_path / "merged", expected, tmp_path, 8)


def test_fewer_harmonics_are_filled_up_with_zeros(tmp_path: Path) -> None:
    plain = random_checkpoint(3, size=(20, 20, 24), basis_dim=1, sh_dtype=np.float32)
    active, density, sh = dense(plain)
    wide = np.zeros((*active.shape, 3, 9))
    wide[..., 0] = sh
    nothing = from_dense(np.zeros(active.shape, np.bool_), 0.0, np.zeros(27))
    merge([written(tmp_path / "a", plain), written(tmp_path / "b", nothing)], tmp_path / "merged")
    expected = from_dense(active, density, wide.reshape(*active.shape, 27), sh_dtype=np.float32)
    assert_holds(tmp_path / "merged", expected, tmp_path, 8)


def test_scenes_off_the_lattice_are_refused_by_name(tmp_path: Path) -> None:
    one = written(tmp_path / "one", ONE)
    edge = 2.0 / ONE.size[0]
    transform(one, tmp_path / "off", center=(0.3 * edge, 0.0, 0.0))
    with pytest.raises(InvalidInput, match=r"off lies \[0.3.*expected whole numbers"):
        merge([one, tmp_path / "off"], tmp_path / "merged")
    transform(one, tmp_path / "larger", radius=(1.1, 1.0, 1.0))
    with pytest.raises(InvalidInput, match="expected scenes of one lattice"):
        merge([one, tmp_path / "larger"], tmp_path / "merged", shifts=[(0, 0, 0)])
    with pytest.raises(InvalidInput, match="two scenes or more"):
        merge([one], tmp_path / "merged")
    with pytest.raises(InvalidInput, match="2 shifts and 2 scenes"):
        merge([one, one], tmp_path / "merged", shifts=[(1, 2, 3), (1, 2, 3)])
    with pytest.raises(InvalidInput, match="three whole numbers"):
        merge([one, one], tmp_path / "merged", shifts=[(1, 2, 0.5)])
    assert not (tmp_path / "merged").exists()


def test_history_is_that_of_all_scenes(tmp_path: Path) -> None:
    one, other = written(tmp_path / "one", ONE), written(tmp_path / "other", OTHER)
    crop(one, tmp_path / "part", (0, 0, 0, 8, 20, 24), units="voxels")
    merge([tmp_path / "part", other], tmp_path / "merged", shifts=[(8, 0, 0)])
    with ps.open_scene(tmp_path / "merged") as scene:
        cropped, merged = scene.meta.history
    assert cropped.startswith("crop to ")
    assert merged.startswith("merge at voxels (0, 0, 0), (8, 0, 0), overlap denser; of part (")
