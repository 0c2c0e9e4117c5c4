"""A scene as a svox2 checkpoint: read by NumPy alone, and converted back to the same scene."""

from __future__ import annotations

import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import plenostream as ps
from plenostream.format.opening import open_store
from plenostream.testing.checkpoints import (
    CheckpointArrays,
    empty_checkpoint,
    from_dense,
    random_checkpoint,
)
from plenostream.testing.extras import layer_arrays, network_arrays, save_with, texture_arrays
from plenostream.testing.scenes import write_checkpoint_plain


def exported(
    checkpoint: CheckpointArrays, folder: Path, *, brick_size: int = 16, host_memory: str = "1GB"
) -> Path:
    scene, target = folder / "scene.zarr", folder / "out.npz"
    write_checkpoint_plain(scene, checkpoint, brick_size=brick_size)
    ps.export_scene(scene, target, ps.ExportOptions(host_memory=host_memory))
    return target


def arrays_of(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


def assert_same_arrays(path: Path, checkpoint: CheckpointArrays) -> None:
    found = arrays_of(path)
    assert list(found) == ["radius", "center", "links", "density_data", "sh_data", "basis_type"]
    np.testing.assert_array_equal(found["links"], checkpoint.links)
    np.testing.assert_array_equal(found["density_data"][:, 0], checkpoint.density)
    np.testing.assert_array_equal(found["sh_data"], checkpoint.sh)
    assert found["links"].dtype == np.int32
    assert found["density_data"].dtype == np.float32
    assert found["sh_data"].dtype == checkpoint.sh.dtype
    np.testing.assert_array_equal(found["radius"], checkpoint.radius)
    np.testing.assert_array_equal(found["center"], checkpoint.center)
    assert found["basis_type"] == 1


@pytest.mark.parametrize("brick_size", [8, 16, 32])
@pytest.mark.parametrize("size", [(33, 18, 20), (65, 9, 40), (70, 33, 17)], ids=str)
def test_arrays_are_those_that_the_scene_was_made_of(
    tmp_path: Path, size: tuple[int, int, int], brick_size: int
) -> None:
    # 33 and 65: the last plane alone lies beyond the last whole brick, or the last whole slab.
    checkpoint = random_checkpoint(3, size=size, radius=(1.0, 0.5, 2.0), center=(0.0, 3.0, -1.0))
    assert_same_arrays(exported(checkpoint, tmp_path, brick_size=brick_size), checkpoint)


@pytest.mark.parametrize("dim", [1, 4, 25])
def test_coefficients_of_every_basis_and_type_are_kept(tmp_path: Path, dim: int) -> None:
    checkpoint = random_checkpoint(4, basis_dim=dim, sh_dtype=np.float32)
    assert_same_arrays(exported(checkpoint, tmp_path), checkpoint)


def test_numbers_that_float32_does_not_hold_are_not_rounded(tmp_path: Path) -> None:
    checkpoint = random_checkpoint(5, radius=(0.1, 1.3, 1e-3), center=(1 / 3, 0.0, 0.0))
    found = arrays_of(exported(checkpoint, tmp_path))
    assert tuple(found["radius"]) == checkpoint.radius
    assert tuple(found["center"]) == checkpoint.center


def test_scene_without_voxels_has_no_rows(tmp_path: Path) -> None:
    found = arrays_of(exported(empty_checkpoint(), tmp_path))
    assert (found["links"] == -1).all()
    assert found["density_data"].shape == (0, 1)
    assert found["sh_data"].shape == (0, 27)


EXTRAS: dict[str, dict[str, NDArray[Any]]] = {
    "layers": layer_arrays(1, height=11, layers=4),
    "layers without a texel": layer_arrays(1, share=0.0),
    "texture": texture_arrays(2, resolution=7, dim=7),
    "network": network_arrays(3, dim=7, width=12),
    "layers and texture": layer_arrays(4) | texture_arrays(5, dim=7),
}


@pytest.mark.parametrize("name", EXTRAS)
def test_layers_and_learned_bases_are_kept(tmp_path: Path, name: str) -> None:
    checkpoint = random_checkpoint(3, size=(20, 18, 17), basis_dim=7)
    source = save_with(tmp_path / "in.npz", checkpoint, **EXTRAS[name])
    if "basis_type" not in EXTRAS[name]:
        source = save_with(tmp_path / "in.npz", random_checkpoint(3), **EXTRAS[name])
    ps.convert(source, tmp_path / "scene.zarr")
    report = ps.export_scene(tmp_path / "scene.zarr", tmp_path / "out.npz")
    assert report.notes == ()
    before, after = arrays_of(source), arrays_of(tmp_path / "out.npz")
    assert set(before) == set(after)
    for key, values in EXTRAS[name].items():
        assert after[key].dtype == before[key].dtype, key
        np.testing.assert_array_equal(after[key], values, key)
    ps.convert(tmp_path / "out.npz", tmp_path / "back.zarr")
    with open_store(tmp_path / "scene.zarr") as one, open_store(tmp_path / "back.zarr") as other:
        assert one.meta.tables_digest == other.meta.tables_digest
        assert one.meta.background == other.meta.background
        assert one.meta.learned == other.meta.learned


def test_coordinates_that_svox2_has_no_word_for_are_told(tmp_path: Path) -> None:
    source = random_checkpoint(3).save(tmp_path / "in.npz")
    ps.convert(source, tmp_path / "s", ps.ConvertOptions(ndc=(100, 80, 90.1, 91)))
    report = ps.export_scene(tmp_path / "s", tmp_path / "out.npz")
    assert "--ndc 100.0,80.0,90.1,91.0" in report.lines()[1]


@pytest.mark.parametrize("brick_size", [8, 16])
def test_converted_back_it_is_the_same_scene(
    gyroid: CheckpointArrays, tmp_path: Path, brick_size: int
) -> None:
    target = exported(gyroid, tmp_path, brick_size=brick_size)
    ps.convert(target, tmp_path / "back.zarr", ps.ConvertOptions(brick_size=brick_size))
    with open_store(tmp_path / "scene.zarr") as first, open_store(tmp_path / "back.zarr") as second:
        assert first.meta.tables_digest == second.meta.tables_digest
        assert first.meta.grid == second.meta.grid
        np.testing.assert_array_equal(first.tables.digest, second.tables.digest)


def test_same_scene_gives_the_same_bytes_in_any_memory(
    gyroid: CheckpointArrays, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    roomy = exported(gyroid, tmp_path / "a")
    with pytest.raises(ps.BudgetError) as refused:
        exported(gyroid, tmp_path / "b", host_memory="1MB")
    smallest = refused.value.smallest_bytes
    ps.export_scene(
        tmp_path / "b" / "scene.zarr",
        tmp_path / "b" / "out.npz",
        ps.ExportOptions(host_memory=smallest),
    )
    assert roomy.read_bytes() == (tmp_path / "b" / "out.npz").read_bytes()


def test_memory_stays_below_what_is_allowed(tmp_path: Path) -> None:
    # 25 functions of float32: 60 MB of rows.
    checkpoint = random_checkpoint(
        6, size=(96, 96, 96), active_share=0.22, basis_dim=25, sh_dtype=np.float32
    )
    scene = tmp_path / "scene.zarr"
    ps.convert(checkpoint.save(tmp_path / "in.npz", compressed=False), scene)
    del checkpoint
    allowed = 25_000_000
    tracemalloc.start()
    try:
        ps.export_scene(scene, tmp_path / "out.npz", ps.ExportOptions(host_memory=allowed))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "out.npz").stat().st_size > 2 * allowed
    assert peak <= allowed


def test_what_would_fill_the_disk_is_not_begun(tmp_path: Path) -> None:
    checkpoint = random_checkpoint(3, size=(20, 18, 17))
    size = exported(checkpoint, tmp_path).stat().st_size
    usage = shutil.disk_usage(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=size // 2))
        with pytest.raises(ps.OutputError, match=r"\(20, 18, 17\) voxels takes .* disk are free"):
            ps.export_scene(tmp_path / "scene.zarr", tmp_path / "again.npz")
    assert not (tmp_path / "again.npz").exists()


def test_progress_reaches_its_end_in_every_step(tmp_path: Path) -> None:
    scene = tmp_path / "scene.zarr"
    write_checkpoint_plain(scene, random_checkpoint(1, size=(70, 9, 9)))
    told: dict[str, list[tuple[int, int]]] = {}
    ps.export_scene(
        scene,
        tmp_path / "out.npz",
        progress=lambda step, done, total: told.setdefault(step, []).append((done, total)),
    )
    assert list(told) == ["links", "density_data", "sh_data"]
    assert all(steps[-1][0] == steps[-1][1] for steps in told.values())


def test_damaged_scene_leaves_nothing_behind(tmp_path: Path) -> None:
    scene = tmp_path / "scene.zarr"
    active = np.ones((16, 16, 16), np.bool_)
    write_checkpoint_plain(scene, from_dense(active, 1.0, np.zeros(3)))
    chunk = scene / "rows" / "sh" / "c" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-5] + b"xxxxx")
    with pytest.raises(ps.BrickCorrupt, match="rows/sh"):
        ps.export_scene(scene, tmp_path / "out.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["scene.zarr"]


def test_target_that_is_there_is_replaced_only_when_asked(
    tiny: CheckpointArrays, tmp_path: Path
) -> None:
    scene, target = tmp_path / "scene.zarr", tmp_path / "out.npz"
    write_checkpoint_plain(scene, tiny)
    target.write_text("mine")
    with pytest.raises(ps.OutputError, match="exists"):
        ps.export_scene(scene, target)
    assert target.read_text() == "mine"
    ps.export_scene(scene, target, ps.ExportOptions(overwrite=True))
    assert_same_arrays(target, tiny)
