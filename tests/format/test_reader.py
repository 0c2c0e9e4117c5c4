"""Opening scenes and reading chunks: the same values as zarr, checked before anything is used."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from plenostream.errors import BrickCorrupt, StoreError, StoreFormat, StoreNotFound
from plenostream.format import layout
from plenostream.format.attributes import ATTRIBUTES_KEY, encode_attributes
from plenostream.format.layout import FORMAT_VERSION
from plenostream.format.opening import open_store
from plenostream.format.reader import SceneStore
from plenostream.testing.checkpoints import (
    CheckpointArrays,
    empty_checkpoint,
    random_checkpoint,
    single_voxel_checkpoint,
)
from plenostream.testing.scenes import write_checkpoint_plain, zip_scene

pytestmark = pytest.mark.usefixtures("small_chunks")


@pytest.fixture(scope="module")
def folder(tiny: CheckpointArrays, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reader") / "scene.zarr"
    write_checkpoint_plain(path, tiny, brick_size=8)
    return path


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    target = tmp_path / "copy.zarr"
    shutil.copytree(folder, target)
    return target


@pytest.fixture
def scene(folder: Path) -> Iterator[SceneStore]:
    with open_store(folder) as store:
        yield store


def edit(path: Path, key: str, **changes: Any) -> None:
    """Put other values into a ``zarr.json``."""
    file = path / key / "zarr.json" if key else path / "zarr.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def rewrite_table(path: Path, name: str, place: Any, value: Any) -> None:
    """Change values the way a slip in a writer would: every checksum stays right."""
    zarr.open_group(path)[name][place] = value


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
@pytest.mark.parametrize("sh_dtype", ["float16", "float32"])
def test_chunks_are_what_zarr_reads(tmp_path: Path, codec: Any, sh_dtype: str) -> None:
    checkpoint = random_checkpoint(2, size=(12, 18, 9), sh_dtype=sh_dtype, basis_dim=4)
    write_checkpoint_plain(tmp_path / "s.zarr", checkpoint, brick_size=8, codec=codec)
    group = zarr.open_group(tmp_path / "s.zarr", mode="r")
    with open_store(tmp_path / "s.zarr") as store:
        for name, spec in store.specs.items():
            chunks = [store.read_chunk(name, chunk) for chunk in range(spec.n_chunks)]
            expected = group[name][...]
            assert all(len(chunk) == spec.chunk_shape[0] for chunk in chunks[:-1])
            np.testing.assert_array_equal(np.concatenate(chunks), expected, strict=True)


def test_scene_of_many_chunks_is_tested(scene: SceneStore) -> None:
    assert all(spec.n_chunks > 1 for spec in scene.specs.values())


def test_tables_are_what_zarr_reads(scene: SceneStore, folder: Path) -> None:
    group = zarr.open_group(folder, mode="r")
    for name in layout.TABLES:
        expected = group[f"bricks/{name}"][...]
        np.testing.assert_array_equal(getattr(scene.tables, name), expected, strict=True)


def test_tables_cannot_be_written_to(scene: SceneStore) -> None:
    with pytest.raises(ValueError, match="read-only"):
        scene.tables.density_max[0] = 1.0


def test_occupied_bricks_are_those_that_the_attributes_count(scene: SceneStore) -> None:
    assert scene.tables.occupied.sum() == scene.meta.n_occupied


def test_stored_size_of_a_chunk_is_that_of_its_file(scene: SceneStore, folder: Path) -> None:
    size = (folder / "rows" / "sh" / "c" / "1" / "0").stat().st_size
    assert scene.chunk_stored_bytes("rows/sh", 1) == size


def test_opening_reads_no_row(copy: Path) -> None:
    shutil.rmtree(copy / "rows" / "sh" / "c")
    shutil.rmtree(copy / "rows" / "density" / "c")
    with open_store(copy) as store, pytest.raises(BrickCorrupt, match="rows/density.*is missing"):
        store.read_chunk("rows/density", 0)


@pytest.mark.parametrize(
    "checkpoint",
    [
        empty_checkpoint(),
        single_voxel_checkpoint(),
        random_checkpoint(3, size=(2, 2, 2), active_share=1.0),
        random_checkpoint(4, size=(9, 2, 33), basis_dim=25, sh_dtype=np.float32),
    ],
    ids=["empty", "single voxel", "two voxels an axis", "long, 25 functions"],
)
@pytest.mark.parametrize("brick_size", [8, 16, 32])
def test_odd_scenes_open(tmp_path: Path, checkpoint: CheckpointArrays, brick_size: int) -> None:
    write_checkpoint_plain(tmp_path / "s.zarr", checkpoint, brick_size=brick_size)
    with open_store(tmp_path / "s.zarr") as store:
        assert store.meta.n_voxels == len(checkpoint.density)
        assert store.read_array("rows/sh").shape == (store.meta.n_rows, checkpoint.sh.shape[1])


def test_zip_file_reads_as_the_folder_does(folder: Path, tmp_path: Path) -> None:
    with open_store(folder) as one, open_store(zip_scene(folder, tmp_path / "s.zip")) as other:
        for name in one.specs:
            np.testing.assert_array_equal(one.read_array(name), other.read_array(name), strict=True)


def test_nothing_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFound, match="no scene at"):
        open_store(tmp_path / "absent.zarr")


def test_folder_without_a_scene_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFound, match=r"no zarr\.json"):
        open_store(tmp_path)


def test_unfinished_scene_does_not_open(copy: Path, scene: SceneStore) -> None:
    edit(copy, "", attributes=encode_attributes(scene.meta, complete=False))
    with pytest.raises(StoreFormat, match="not complete"):
        open_store(copy)


def test_newer_version_is_refused_by_name(copy: Path, scene: SceneStore) -> None:
    attributes = encode_attributes(scene.meta, complete=True)
    attributes[ATTRIBUTES_KEY]["format_version"] = FORMAT_VERSION + 1
    edit(copy, "", attributes=attributes)
    with pytest.raises(StoreFormat, match=f"version {FORMAT_VERSION + 1}"):
        open_store(copy)


@pytest.mark.parametrize(
    "change",
    [
        {"n_bricks": 2**40},
        {"n_bricks": 8.0},
        {"n_rows": 3},
        {"n_rows": 10**9},
        {"n_occupied": 9},
        {"n_voxels": 10**6},
        {"n_bricks": True},
    ],
    ids=str,
)
def test_counts_that_cannot_be_are_refused(
    copy: Path, scene: SceneStore, change: dict[str, Any]
) -> None:
    # The checksum of the attributes is right: this is what a hostile writer would do.
    meta = dataclasses.replace(scene.meta, **change)
    edit(copy, "", attributes=encode_attributes(meta, complete=True))
    with pytest.raises(StoreFormat, match="attributes"):
        open_store(copy)


def test_scene_that_claims_too_many_bricks_allocates_nothing_for_them(
    copy: Path, scene: SceneStore
) -> None:
    n = 2**40
    grid = dataclasses.replace(scene.meta.grid, size=(2**17, 2**17, 2**17))
    meta = dataclasses.replace(scene.meta, grid=grid, n_bricks=n, n_rows=n, n_voxels=n)
    edit(copy, "", attributes=encode_attributes(meta, complete=True))
    for name, spec in layout.array_specs(meta).items():
        edit(copy, name, shape=list(spec.shape))
    with pytest.raises(BrickCorrupt, match="bricks/index/c/3/0.*missing"):
        open_store(copy)


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("rows/sh", {"shape": [1, 27]}),
        ("rows/sh", {"data_type": "int16"}),
        ("rows/sh", {"fill_value": "zero"}),
        ("rows/sh", {"chunk_key_encoding": {"name": "v3"}}),
        ("rows/sh", {"codecs": [{"name": "numcodecs.pickle"}]}),
        (
            "rows/sh",
            {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [10**9, 27]}}},
        ),
        ("rows/sh", {"surprise": {"must_understand": True}}),
        ("rows/sh", {"codecs": None}),
        ("rows/sh", {"storage_transformers": [{"name": "x"}]}),
        ("rows/density", {"chunk_grid": {"name": "regular", "configuration": {}}}),
        ("bricks/mask", {"node_type": "group"}),
        ("bricks/mask", {"surprise": 1}),
        ("bricks", {"node_type": "array"}),
        ("rows", {"zarr_format": 2}),
        ("", {"node_type": "array"}),
    ],
    ids=str,
)
def test_document_that_says_something_else_is_refused_by_name(
    copy: Path, key: str, change: dict[str, Any]
) -> None:
    edit(copy, key, **change)
    with pytest.raises(StoreFormat, match=f"{key}/zarr.json" if key else r"zarr\.json"):
        open_store(copy)


@pytest.mark.parametrize("key", ["", "bricks", "rows", "bricks/index", "rows/sh"])
@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "[" * 100_000, '{"shape": 1, "shape": 1}', "\udcff"],
    ids=["empty", "cut off", "a list", "null", "deep", "a name twice", "not text"],
)
def test_document_that_is_none_is_refused(copy: Path, key: str, text: str) -> None:
    (copy / key / "zarr.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(StoreFormat, match=r"zarr\.json"):
        open_store(copy)


def test_document_of_absurd_size_is_not_read(copy: Path) -> None:
    with (copy / "rows" / "zarr.json").open("r+b") as file:
        file.truncate(10**12)
    with pytest.raises(StoreFormat, match="1000000000000 bytes"):
        open_store(copy)


def test_chunk_of_absurd_size_is_not_read(copy: Path) -> None:
    with (copy / "rows" / "sh" / "c" / "0" / "0").open("r+b") as file:
        file.truncate(10**12)
    with open_store(copy) as store, pytest.raises(BrickCorrupt, match="1000000000000 bytes"):
        store.read_chunk("rows/sh", 0)


def test_folder_in_place_of_a_chunk_is_damage(copy: Path) -> None:
    chunk = copy / "rows" / "sh" / "c" / "0" / "0"
    chunk.unlink()
    chunk.mkdir()
    with open_store(copy) as store, pytest.raises(BrickCorrupt, match="not a file"):
        store.read_chunk("rows/sh", 0)


def test_damage_names_array_chunk_and_key(copy: Path) -> None:
    (copy / "rows" / "sh" / "c" / "2" / "0").unlink()
    with open_store(copy) as store, pytest.raises(BrickCorrupt, match="rows/sh/c/2/0") as caught:
        store.read_chunk("rows/sh", 2)
    assert (caught.value.array, caught.value.chunk) == ("rows/sh", 2)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["rows/density", "rows/sh"])
def test_values_that_are_not_finite_are_damage(copy: Path, name: str, value: float) -> None:
    rewrite_table(copy, name, 5, value)
    with open_store(copy) as store, pytest.raises(BrickCorrupt, match="not finite"):
        store.read_chunk(name, 0)


@pytest.mark.parametrize(
    ("name", "place", "value", "message"),
    [
        ("bricks/index", (0, 0), 2, "outside the grid"),
        ("bricks/index", (0, 0), -1, "outside the grid"),
        ("bricks/index", 0, [1, 0, 0], "same brick twice"),
        ("bricks/row_start", 0, 1, "runs from 1"),
        ("bricks/row_start", -1, 0, "expected 0 to"),
        ("bricks/row_start", 3, 0, "contradict each other"),
        ("bricks/mask", (2, 5), 255, "contradict each other"),
        ("bricks/mask", 2, 0, "without a voxel"),
        ("bricks/boxes", (0, 0, 3), 9, "within their block"),
        ("bricks/boxes", (0, 0), [3, 0, 0, 2, 1, 1], "within their block"),
        ("bricks/boxes", (-1, 0), [0, 0, 0, 8, 8, 8], "within their block"),
        ("bricks/boxes", 0, 0, "contradict each other"),
        ("bricks/boxes", (0, 0), [1, 1, 1, 2, 2, 2], "not those which were written"),
        ("bricks/density_max", 0, 0, "contradict each other"),
        ("bricks/density_max", 0, -1, "contradict each other"),
        ("bricks/density_max", 0, 0.5, "not those which were written"),
        ("bricks/sh_bound", (0, 1), -1, "negative"),
        ("bricks/sh_bound", (0, 1), 0.5, "not those which were written"),
        ("bricks/digest", 0, 1, "not those which were written"),
    ],
)
def test_tables_that_contradict_are_refused_by_name(
    copy: Path, name: str, place: Any, value: Any, message: str
) -> None:
    rewrite_table(copy, name, place, value)
    with pytest.raises(BrickCorrupt, match=message):
        open_store(copy)


def test_table_with_a_value_that_is_not_finite_does_not_open(copy: Path) -> None:
    rewrite_table(copy, "bricks/density_max", 1, np.nan)
    with pytest.raises(BrickCorrupt, match="bricks/density_max/c/0.*not finite"):
        open_store(copy)


def test_other_blosc_settings_are_read_as_well(copy: Path, scene: SceneStore) -> None:
    document = json.loads((copy / "rows" / "sh" / "zarr.json").read_text())
    document["codecs"][1]["configuration"] |= {"clevel": 9, "typesize": 2}
    edit(copy, "rows/sh", codecs=document["codecs"])
    with open_store(copy) as store:
        np.testing.assert_array_equal(store.read_array("rows/sh"), scene.read_array("rows/sh"))


def test_closing_twice_is_allowed(folder: Path, tmp_path: Path) -> None:
    store = open_store(zip_scene(folder, tmp_path / "s.zip"))
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.read_chunk("rows/sh", 0)
