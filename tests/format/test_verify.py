"""`verify` names each damaged brick, and `scene_info` says what a scene is."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from plenostream.errors import StoreFormat, StoreNotFound
from plenostream.format.attributes import encode_attributes
from plenostream.format.digests import tables_digest
from plenostream.format.info import info_lines, scene_info
from plenostream.format.layout import SceneMeta
from plenostream.format.opening import open_store
from plenostream.format.verify import verify
from plenostream.stream import BrickFetcher
from plenostream.testing.checkpoints import (
    CheckpointArrays,
    empty_checkpoint,
    from_dense,
    random_checkpoint,
    single_voxel_checkpoint,
)
from plenostream.testing.scenes import write_checkpoint_plain, zip_scene

pytestmark = pytest.mark.usefixtures("small_chunks")


@pytest.fixture(scope="module")
def half_empty() -> CheckpointArrays:
    """Active voxels everywhere; density above 0 only where x > 9."""
    active = np.ones((17, 9, 17), np.bool_)
    density = np.where(np.arange(17) > 9, 2.0, -1.0)[:, None, None]
    rng = np.random.default_rng(1)
    return from_dense(active, density, rng.normal(size=(17, 9, 17, 27)))


@pytest.fixture
def scene(half_empty: CheckpointArrays, tmp_path: Path) -> Path:
    write_checkpoint_plain(tmp_path / "s.zarr", half_empty, brick_size=8)
    return tmp_path / "s.zarr"


def make_consistent(path: Path, meta: SceneMeta) -> None:
    """Attributes that match tables as they are now: a slip of the writer, not damage."""
    group = zarr.open_group(path)
    tables = {f"bricks/{name}": array[...] for name, array in group["bricks"].arrays()}
    meta = dataclasses.replace(meta, tables_digest=tables_digest(tables))
    group.update_attributes(encode_attributes(meta, complete=True))


def meta_of(path: Path) -> SceneMeta:
    with open_store(path) as store:
        return store.meta


@pytest.mark.parametrize(
    "checkpoint",
    [
        empty_checkpoint(),
        single_voxel_checkpoint(),
        random_checkpoint(3, size=(2, 2, 2), active_share=1.0),
        random_checkpoint(4, size=(9, 2, 33), basis_dim=1, sh_dtype=np.float32),
    ],
    ids=["empty", "single voxel", "two voxels an axis", "long, one function"],
)
@pytest.mark.parametrize("brick_size", [8, 16, 32])
def test_sound_scene_is_whole(
    tmp_path: Path, checkpoint: CheckpointArrays, brick_size: int
) -> None:
    write_checkpoint_plain(tmp_path / "s.zarr", checkpoint, brick_size=brick_size)
    assert verify(tmp_path / "s.zarr").faults == ()


def test_every_chunk_is_looked_at(scene: Path) -> None:
    report = verify(scene)
    files = [p for p in scene.rglob("*") if p.is_file() and p.name != "zarr.json"]
    assert report.n_chunks == len(files)
    assert report.n_bytes == sum(p.stat().st_size for p in files)


def test_zip_file_is_verified_too(scene: Path, tmp_path: Path) -> None:
    packed = zip_scene(scene, tmp_path / "s.zip")
    assert verify(packed).ok
    shutil.rmtree(scene / "rows" / "sh" / "c" / "1")
    assert not verify(zip_scene(scene, tmp_path / "t.zip")).ok


def test_damaged_chunk_names_every_brick_that_it_touches(scene: Path) -> None:
    with open_store(scene) as store:
        per_chunk = store.specs["rows/sh"].chunk_shape[0]
        start = store.tables.row_start
    touched = np.flatnonzero((start[:-1] < 4 * per_chunk) & (start[1:] > 3 * per_chunk))
    (scene / "rows" / "sh" / "c" / "3" / "0").unlink()
    report = verify(scene)
    assert [(f.array, f.chunk, f.bricks) for f in report.faults] == [
        ("rows/sh", 3, tuple(touched.tolist()))
    ]
    assert report.damaged_bricks == tuple(touched.tolist())


def test_every_damaged_chunk_is_named(scene: Path) -> None:
    for key in ("rows/sh/c/0/0", "rows/sh/c/5/0", "rows/density/c/1", "bricks/boxes/c/0/0/0"):
        (scene / key).write_bytes(b"")
    text = "\n".join(verify(scene).lines())
    for key in ("rows/sh/c/0/0", "rows/sh/c/5/0", "rows/density/c/1", "bricks/boxes/c/0/0/0"):
        assert key in text


def test_changed_rows_name_their_brick(scene: Path) -> None:
    # Written with right checksums: only the brick's digest knows.
    rows = zarr.open_group(scene)["rows/density"]
    rows[7] = 0.125
    report = verify(scene)
    assert [(fault.array, fault.bricks) for fault in report.faults] == [("bricks/digest", (0,))]
    assert "brick 0 at (0, 0, 0)" in report.faults[0].message


def test_damage_in_a_brick_that_no_render_reads_is_found(scene: Path) -> None:
    with open_store(scene) as store:
        hidden = np.flatnonzero(~store.tables.occupied)
        row = int(store.tables.row_start[hidden[0]])
    zarr.open_group(scene)["rows/sh"][row, 3] = 77.0
    assert verify(scene).damaged_bricks == (int(hidden[0]),)
    with open_store(scene) as store, BrickFetcher(store, cache_bytes=10**7, n_threads=1) as f:
        f.take(np.flatnonzero(store.tables.occupied))


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("bricks/density_max", 3, 1.75),
        ("bricks/sh_bound", (3, 1), 0.5),
        ("bricks/sh_bound", (3, 2), 500.0),
    ],
)
def test_table_that_was_computed_wrongly_is_found(
    scene: Path, name: str, place: Any, value: float
) -> None:
    meta = meta_of(scene)
    zarr.open_group(scene)[name][place] = value
    make_consistent(scene, meta)
    open_store(scene).close()
    assert [(f.array, f.bricks) for f in verify(scene).faults] == [(name, (3,))]


@pytest.mark.parametrize("change", [1, -1], ids=["too large", "too small"])
@pytest.mark.parametrize("side", range(6))
def test_box_that_was_computed_wrongly_is_found(tmp_path: Path, side: int, change: int) -> None:
    # Voxels 3 and 4 of each axis: cells 2 to 4, so that every side can move both ways.
    active = np.zeros((12, 12, 12), np.bool_)
    active[3:5, 3:5, 3:5] = True
    write_checkpoint_plain(tmp_path / "s.zarr", from_dense(active, 1.0, np.zeros(3)), brick_size=8)
    meta = meta_of(tmp_path / "s.zarr")
    boxes = zarr.open_group(tmp_path / "s.zarr")["bricks/boxes"]
    assert boxes[0, 0].tolist() == [2, 2, 2, 5, 5, 5]
    boxes[0, 0, side] = (2, 5)[side >= 3] + change * (-1, 1)[side >= 3]
    make_consistent(tmp_path / "s.zarr", meta)
    assert [(f.array, f.bricks) for f in verify(tmp_path / "s.zarr").faults] == [
        ("bricks/boxes", (0,))
    ]


def test_bricks_that_cannot_be_told_leave_their_rows_checked(scene: Path) -> None:
    zarr.open_group(scene)["bricks/row_start"][2] = 0
    (scene / "rows" / "sh" / "c" / "3" / "0").write_bytes(b"")
    arrays = [fault.array for fault in verify(scene).faults]
    assert arrays == ["bricks/mask", "rows/sh"]


def test_other_blosc_settings_change_no_value_and_are_whole(scene: Path) -> None:
    file = scene / "rows" / "sh" / "zarr.json"
    document = json.loads(file.read_text())
    document["codecs"][1]["configuration"]["typesize"] += 1
    file.write_text(json.dumps(document))
    assert verify(scene).ok


def test_wrong_number_of_voxels_is_found(scene: Path) -> None:
    meta = meta_of(scene)
    make_consistent(scene, dataclasses.replace(meta, n_voxels=meta.n_voxels - 1))
    (fault,) = verify(scene).faults
    assert f"{meta.n_voxels} voxels" in fault.message
    assert f"n_voxels {meta.n_voxels - 1}" in fault.message


def test_wrong_rounding_is_found(scene: Path) -> None:
    make_consistent(scene, dataclasses.replace(meta_of(scene), density_rounding=0.5))
    (fault,) = verify(scene).faults
    assert "density_rounding 0.5" in fault.message


def test_scene_that_nobody_could_draw_is_not_called_whole(scene: Path) -> None:
    meta = meta_of(scene)
    make_consistent(
        scene, dataclasses.replace(meta, grid=dataclasses.replace(meta.grid, radius=(1e-39,) * 3))
    )
    (fault,) = verify(scene).faults
    assert "another unit of length" in fault.message


def test_control_characters_of_a_scene_are_printed_escaped(scene: Path) -> None:
    make_consistent(scene, dataclasses.replace(meta_of(scene), source_name="a\x1b[31m\n\u202eb"))
    text = info_lines(scene_info(scene))
    assert all(line.isprintable() for line in text)
    assert any("a\\x1b[31m\\n\\u202eb" in line for line in text)


def test_report_goes_through_json(scene: Path) -> None:
    (scene / "rows" / "sh" / "c" / "3" / "0").unlink()
    report = json.loads(json.dumps(verify(scene).to_dict()))
    assert report["ok"] is False
    assert report["faults"][0]["array"] == "rows/sh"
    assert report["damaged_bricks"] == report["faults"][0]["bricks"]


def test_whole_scene_says_so_in_one_line(scene: Path) -> None:
    (line,) = verify(scene).lines()
    assert "is whole" in line


def test_progress_counts_every_chunk(scene: Path) -> None:
    calls: list[tuple[int, int]] = []
    report = verify(scene, progress=lambda word, done, n: calls.append((done, n)))
    n = report.n_chunks
    assert calls == [(done, n) for done in range(1, n + 1)]


def test_nothing_to_verify_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFound):
        verify(tmp_path / "absent")


def test_what_claims_any_number_of_chunks_is_given_up(
    scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plenostream.format.verify._MOST_FAULTS", 5)
    shutil.rmtree(scene / "rows" / "sh" / "c")
    with pytest.raises(StoreFormat, match="fault number 5"):
        verify(scene)


def test_fault_of_the_attributes_is_an_error_that_names_them(scene: Path) -> None:
    group = zarr.open_group(scene)
    attributes = group.attrs.asdict()
    attributes["plenostream"]["n_rows"] += 1
    group.update_attributes(attributes)
    with pytest.raises(StoreFormat, match="checksum"):
        verify(scene)


def test_info_says_what_was_written(scene: Path, half_empty: CheckpointArrays) -> None:
    info = json.loads(json.dumps(scene_info(scene)))
    files = [p for p in scene.rglob("*") if p.is_file() and p.name != "zarr.json"]
    assert info["grid_size"] == [17, 9, 17]
    assert info["n_voxels"] == len(half_empty.density)
    assert info["active_share"] == 1.0
    assert info["n_bricks"] == info["n_grid_bricks"] == 4
    assert info["occupied_share"] == info["n_occupied"] / 4
    assert info["stored_bytes"] == sum(p.stat().st_size for p in files)
    assert info["arrays"]["rows/sh"]["codec"] == "zstd"


def test_info_for_people_has_the_same_numbers(scene: Path) -> None:
    text = "\n".join(info_lines(scene_info(scene)))
    for piece in ("17 x 9 x 17", "4 of 8^3", "float16", "zstd", "rows/sh"):
        assert piece in text


def test_info_reads_no_row(scene: Path) -> None:
    for chunk in (scene / "rows" / "sh" / "c").rglob("0"):
        if chunk.is_file():
            chunk.write_bytes(b"damaged")
    assert scene_info(scene)["n_rows"] > 0
