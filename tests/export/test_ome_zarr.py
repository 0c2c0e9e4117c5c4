"""A scene as an OME-Zarr image: valid, where it is in the world, halved level by level."""

from __future__ import annotations

import json
import re
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray

import plenostream as ps
from plenostream.testing.checkpoints import (
    CheckpointArrays,
    empty_checkpoint,
    from_dense,
    random_checkpoint,
)
from plenostream.testing.scenes import write_checkpoint_plain

C0 = 0.28209479177387814


def volume_of(
    checkpoint: CheckpointArrays, folder: Path, *, brick_size: int = 16, **options: Any
) -> zarr.Group:
    write_checkpoint_plain(folder / "scene.zarr", checkpoint, brick_size=brick_size)
    target = folder / "out.ome.zarr"
    ps.export_scene(folder / "scene.zarr", target, ps.ExportOptions(**options))
    return zarr.open_group(target, mode="r")


def dense(checkpoint: CheckpointArrays) -> NDArray[np.float64]:
    """Channels [4, X, Y, Z] of a checkpoint."""
    values = np.zeros((4, *checkpoint.size))
    active = checkpoint.links >= 0
    rows = checkpoint.links[active]
    values[0][active] = np.maximum(checkpoint.density[rows], 0)
    for channel in range(3):
        constant = checkpoint.sh[rows, channel * checkpoint.basis_dim].astype(np.float64)
        values[1 + channel][active] = np.clip(0.5 + C0 * constant, 0, 1)
    return values


def array_of(group: zarr.Group, level: int) -> NDArray[np.float64]:
    """A level with the axes c x y z."""
    stored: Any = group[str(level)]
    return np.asarray(stored[...], np.float64).transpose(0, 3, 2, 1)


@pytest.mark.parametrize("brick_size", [8, 16, 32])
@pytest.mark.parametrize("size", [(33, 18, 20), (65, 9, 70)], ids=str)
def test_finest_level_has_every_voxel(
    tmp_path: Path, size: tuple[int, int, int], brick_size: int
) -> None:
    # 33 and 65: the last voxel lies in a cube of its own.
    checkpoint = random_checkpoint(3, size=size)
    group = volume_of(checkpoint, tmp_path, brick_size=brick_size)
    np.testing.assert_allclose(array_of(group, 0), dense(checkpoint), atol=1e-6)


def test_bricks_that_hold_nothing_but_voxels_of_others_add_nothing(tmp_path: Path) -> None:
    # Voxel 32 is the first of its brick and its cube, and the apron of the brick before.
    active = np.zeros((48, 9, 9), np.bool_)
    active[32, 4, 4] = True
    checkpoint = from_dense(active, 2.0, np.full(12, 0.5))
    group = volume_of(checkpoint, tmp_path, brick_size=8)
    np.testing.assert_allclose(array_of(group, 0), dense(checkpoint), atol=1e-6)


def test_further_levels_are_means_weighted_with_density(tmp_path: Path) -> None:
    checkpoint = random_checkpoint(4, size=(70, 40, 36))
    group = volume_of(checkpoint, tmp_path, brick_size=8)
    assert sorted(group) == ["0", "1", "2"]
    finer = np.pad(dense(checkpoint), ((0, 0), (0, 2), (0, 0), (0, 0)))
    sums = finer.copy()
    sums[1:] *= finer[0]
    _, x, y, z = (n // 2 for n in sums.shape)
    sums = sums.reshape(4, x, 2, y, 2, z, 2).sum(axis=(2, 4, 6))
    expected = sums / 8
    expected[1:] = sums[1:] / np.where(sums[0] > 0, sums[0], 1)
    np.testing.assert_allclose(array_of(group, 1), expected[:, :35], atol=1e-5)
    # The mean density is that of the whole, level by level, but for the odd end.
    assert array_of(group, 2)[0].sum() * 8 == pytest.approx(array_of(group, 1)[0].sum(), rel=1e-5)


def test_places_are_those_of_the_world(tmp_path: Path) -> None:
    checkpoint = random_checkpoint(
        5, size=(70, 9, 20), radius=(1.0, 0.5, 2.0), center=(0.0, 3.0, -1.0)
    )
    group = volume_of(checkpoint, tmp_path, brick_size=8)
    ome: Any = group.attrs["ome"]
    for level, dataset in enumerate(ome["multiscales"][0]["datasets"]):
        scale, translation = (
            np.array(list(step.values())[1]) for step in dataset["coordinateTransformations"]
        )
        # Voxel i of a level is the middle of voxels i 2^n to (i + 1) 2^n - 1.
        voxel = np.array([3, 1, 2])
        middle = (voxel + 0.5) * 2**level - 0.5
        np.testing.assert_allclose(
            (voxel * scale[:0:-1] + translation[:0:-1]), checkpoint.grid.grid_to_world(middle)
        )


def test_it_is_valid_ome_zarr(gyroid: CheckpointArrays, tmp_path: Path) -> None:
    models = pytest.importorskip("ome_zarr_models.v05.image")
    group = volume_of(gyroid, tmp_path, brick_size=8)
    image = models.Image.from_zarr(group)
    (multiscale,) = image.ome_attributes.multiscales
    assert [axis.name for axis in multiscale.axes] == ["c", "z", "y", "x"]
    assert [channel["label"] for channel in image.ome_attributes.omero["channels"]] == [
        "density",
        "red",
        "green",
        "blue",
    ]
    assert [dataset.path for dataset in multiscale.datasets] == ["0", "1"]


def test_neuroglancer_takes_it(gyroid: CheckpointArrays, tmp_path: Path) -> None:
    """What its data source asks of a volume: `src/datasource/zarr/ome.ts` and `metadata/parse.ts`."""
    volume_of(gyroid, tmp_path, brick_size=8)
    folder = tmp_path / "out.ome.zarr"
    ome = json.loads((folder / "zarr.json").read_bytes())["attributes"]["ome"]
    assert ome["version"] in ("0.4", "0.5")
    (image,) = ome["multiscales"]
    rank, names = len(image["axes"]), [axis["name"] for axis in image["axes"]]
    for axis in image["axes"]:
        assert "unit" not in axis, "only SI units of length and time are known to it"
    before = np.zeros(rank)
    for dataset in image["datasets"]:
        scale, shift = dataset["coordinateTransformations"]
        assert (scale["type"], shift["type"]) == ("scale", "translation")
        assert len(scale["scale"]) == len(shift["translation"]) == rank
        assert (np.array(scale["scale"]) >= np.maximum(before, 1e-300)).all()
        assert np.isfinite(shift["translation"]).all()
        before = np.array(scale["scale"])
        array = json.loads((folder / dataset["path"] / "zarr.json").read_bytes())
        assert array["dimension_names"] == names
        assert array["data_type"] == "float32"
        assert array["chunk_key_encoding"]["name"] in ("default", "v2")
        codecs = {codec["name"] for codec in array["codecs"]}
        assert codecs <= {
            "blosc",
            "bytes",
            "crc32c",
            "gzip",
            "sharding_indexed",
            "transpose",
            "zstd",
        }
    for channel in ome["omero"]["channels"]:
        assert re.fullmatch("[0-9A-F]{6}", channel["color"])
        low, start, end, high = (channel["window"][key] for key in ("min", "start", "end", "max"))
        assert low <= start < end <= high


def test_napari_opens_it(gyroid: CheckpointArrays, tmp_path: Path) -> None:
    plugin = pytest.importorskip("napari_ome_zarr")
    group = volume_of(gyroid, tmp_path, brick_size=8)
    read = plugin.napari_get_reader(str(tmp_path / "out.ome.zarr"))
    ((levels, shown, kind),) = read(str(tmp_path / "out.ome.zarr"))
    assert kind == "image"
    for level, values in enumerate(levels):
        np.testing.assert_array_equal(
            values.compute().transpose(0, 3, 2, 1), array_of(group, level)
        )
    assert shown["channel_axis"] == 0
    assert shown["axis_labels"] == ("z", "y", "x")
    assert [name.split(": ")[1] for name in shown["name"]] == ["density", "red", "green", "blue"]
    np.testing.assert_allclose(shown["scale"], 1 / gyroid.grid.scale[::-1])


def test_scene_without_voxels_is_a_volume_of_zeros(tmp_path: Path) -> None:
    group = volume_of(empty_checkpoint(), tmp_path)
    assert not array_of(group, 0).any()


def test_memory_stays_below_what_is_allowed(tmp_path: Path) -> None:
    checkpoint = random_checkpoint(
        6, size=(96, 96, 96), active_share=0.3, basis_dim=9, sh_dtype=np.float32
    )
    scene, allowed = tmp_path / "scene.zarr", 45_000_000
    ps.convert(checkpoint.save(tmp_path / "in.npz", compressed=False), scene)
    tracemalloc.start()
    try:
        ps.export_scene(scene, tmp_path / "out.zarr", ps.ExportOptions(host_memory=allowed))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= allowed
    with pytest.raises(ps.BudgetError, match="volume"):
        ps.export_scene(scene, tmp_path / "none.zarr", ps.ExportOptions(host_memory="1MB"))
    assert not (tmp_path / "none.zarr").exists()


def test_only_a_volume_is_replaced_and_only_when_asked(
    tiny: CheckpointArrays, tmp_path: Path
) -> None:
    group = volume_of(tiny, tmp_path)
    scene, target = tmp_path / "scene.zarr", tmp_path / "out.ome.zarr"
    with pytest.raises(ps.OutputError, match="exists"):
        ps.export_scene(scene, target)
    write_checkpoint_plain(tmp_path / "other.zarr", tiny)
    with pytest.raises(ps.OutputError, match="no OME-Zarr group"):
        ps.export_scene(scene, tmp_path / "other.zarr", ps.ExportOptions(overwrite=True))
    with pytest.raises(ps.OutputError, match="over the scene"):
        ps.export_scene(scene, scene, ps.ExportOptions(overwrite=True))
    before = array_of(group, 0)
    ps.export_scene(scene, target, ps.ExportOptions(overwrite=True))
    np.testing.assert_array_equal(array_of(zarr.open_group(target, mode="r"), 0), before)
    assert {path.name for path in tmp_path.iterdir()} == {
        "scene.zarr",
        "out.ome.zarr",
        "other.zarr",
    }


def test_damaged_scene_leaves_nothing_behind(tiny: CheckpointArrays, tmp_path: Path) -> None:
    scene = tmp_path / "scene.zarr"
    write_checkpoint_plain(scene, tiny)
    (scene / "rows" / "sh" / "c" / "0" / "0").unlink()
    with pytest.raises(ps.BrickCorrupt, match="rows/sh"):
        ps.export_scene(scene, tmp_path / "out.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["scene.zarr"]
