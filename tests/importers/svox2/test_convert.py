"""The converter writes what the plain writer writes, from every form that a checkpoint can have."""

from __future__ import annotations

import errno
import os
import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from conversions import contents, options

from plenostream.errors import (
    BudgetError,
    CheckpointError,
    PlenostreamError,
    StoreError,
    StoreExists,
    StoreNotFound,
)
from plenostream.format.opening import open_store
from plenostream.importers.packing.report import ConvertReport
from plenostream.importers.svox2.convert import convert
from plenostream.testing.checkpoints import (
    CheckpointArrays,
    empty_checkpoint,
    random_checkpoint,
    single_voxel_checkpoint,
)
from plenostream.testing.extras import save_with
from plenostream.testing.scenes import write_checkpoint_plain

SCENES = {
    "random": random_checkpoint(1, size=(20, 33, 18)),
    "wide": random_checkpoint(2, size=(70, 12, 9), basis_dim=4, sh_dtype=np.float32),
    "many coefficients": random_checkpoint(3, size=(9, 10, 2), basis_dim=25, sh_dtype=np.float32),
    "one voxel": single_voxel_checkpoint(),
    "empty": empty_checkpoint(),
}


def files(scene: Path) -> dict[str, bytes]:
    """Every file of a scene but the documents, by its path."""
    return {
        str(path.relative_to(scene)): path.read_bytes()
        for path in scene.rglob("*")
        if path.is_file() and path.name != "zarr.json"
    }


@pytest.fixture(scope="module")
def source() -> CheckpointArrays:
    return random_checkpoint(5, size=(40, 21, 26), active_share=0.2)


@pytest.fixture(scope="module")
def expected(
    source: CheckpointArrays, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """Files of the scene of `source` with bricks of 8."""
    folder = tmp_path_factory.mktemp("expected")
    convert(save_with(folder / "a.npz", source), folder / "s", options(brick_size=8))
    return files(folder / "s")


@pytest.mark.parametrize("packed", [False, True], ids=["stored", "compressed"])
@pytest.mark.parametrize("brick_size", [8, 16, 32])
@pytest.mark.parametrize("name", SCENES)
def test_scene_is_the_one_that_the_plain_writer_makes(
    tmp_path: Path, name: str, brick_size: int, packed: bool
) -> None:
    codec = "lz4" if packed else "zstd"
    path = save_with(tmp_path / "a.npz", SCENES[name], packed=packed)
    convert(path, tmp_path / "s", options(brick_size=brick_size, codec=codec))
    plain = write_checkpoint_plain(tmp_path / "p", SCENES[name], brick_size=brick_size, codec=codec)
    assert files(tmp_path / "s") == files(tmp_path / "p")
    with open_store(tmp_path / "s") as store:
        ours = store.meta
    assert (ours.n_bricks, ours.n_occupied, ours.n_rows, ours.n_voxels, ours.tables_digest) == (
        plain.n_bricks,
        plain.n_occupied,
        plain.n_rows,
        plain.n_voxels,
        plain.tables_digest,
    )
    assert ours.density_rounding == plain.density_rounding
    assert ours.grid == plain.grid


@pytest.mark.parametrize("packed", [False, True], ids=["stored", "compressed"])
@pytest.mark.parametrize(
    "form",
    [
        "permuted",
        "fortran",
        "fortran, permuted",
        "unused rows behind",
        "unused rows between",
        "big endian",
        "int64 links",
        "accelerated links",
        "flat densities",
        "float64 densities",
    ],
)
def test_same_scene_whatever_the_form_of_the_checkpoint(
    tmp_path: Path,
    source: CheckpointArrays,
    expected: dict[str, bytes],
    form: str,
    packed: bool,
) -> None:
    n = len(source.density)
    rng = np.random.default_rng(8)
    links, density, sh = source.links, source.density[:, None], source.sh
    active = links >= 0
    if "permuted" in form:
        place = rng.permutation(n).astype(np.int32)
        links = np.where(active, place[links], -1)
        density, sh = np.empty_like(density), np.empty_like(sh)
        density[place], sh[place] = source.density[:, None], source.sh
    if "unused" in form:
        place = np.arange(n, dtype=np.int32) * (2 if "between" in form else 1)
        density = np.full((2 * n, 1), np.nan, np.float32)
        sh = np.full((2 * n, sh.shape[1]), np.inf, np.float16)
        links = np.where(active, place[links], -1)
        density[place], sh[place] = source.density[:, None], source.sh
    if "fortran" in form:
        links, sh = np.asfortranarray(links), np.asfortranarray(sh)
    if "endian" in form:
        links, density, sh = (a.astype(a.dtype.newbyteorder(">")) for a in (links, density, sh))
    if "int64" in form:
        links = links.astype(np.int64)
    if "accelerated" in form:
        links = np.where(active, links, -1 - rng.integers(0, 2**31 - 1, links.shape))
        links = links.astype(np.int32)
    if "flat" in form:
        density = density[:, 0]
    if "float64" in form:
        density = density.astype(np.float64)
    path = save_with(
        tmp_path / "a.npz", source, packed=packed, links=links, density_data=density, sh_data=sh
    )
    convert(path, tmp_path / "s", options(brick_size=8))
    assert files(tmp_path / "s") == expected


def test_links_that_share_a_row_each_get_it(tmp_path: Path) -> None:
    links = np.full((4, 4, 4), -1, np.int32)
    links[0, 0, 0] = links[3, 3, 3] = links[1, 2, 3] = 1
    arrays = CheckpointArrays(
        links=links,
        density=np.array([7.0, 3.0], np.float32),
        sh=np.arange(6, dtype=np.float16).reshape(2, 3),
    )
    convert(save_with(tmp_path / "a.npz", arrays), tmp_path / "s", options())
    values = contents(tmp_path / "s")
    assert values["rows/density"].tolist() == [3.0] * 3
    assert values["rows/sh"].tolist() == [[3.0, 4.0, 5.0]] * 3


@pytest.mark.parametrize("order", ["C", "F"])
def test_older_dialect_has_the_same_rows(
    tmp_path: Path, source: CheckpointArrays, order: str
) -> None:
    data = np.concatenate([source.density[:, None], source.sh], axis=1, dtype=np.float32)
    data = np.asarray(data, order=order)  # type: ignore[call-overload]
    old = save_with(tmp_path / "o.npz", source, data=data, density_data=None, sh_data=None)
    convert(old, tmp_path / "o", options())
    convert(save_with(tmp_path / "n.npz", source), tmp_path / "n", options())
    ours, theirs = contents(tmp_path / "o"), contents(tmp_path / "n")
    assert ours["rows/sh"].dtype == np.float32
    for name in theirs:
        if name != "bricks/digest":  # covers the bytes of the coefficients
            np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def test_older_dialect_wins_where_both_are_there(tmp_path: Path, source: CheckpointArrays) -> None:
    data = np.ones((len(source.density), 4), np.float32)
    convert(save_with(tmp_path / "a.npz", source, data=data), tmp_path / "s", options())
    assert set(contents(tmp_path / "s")["rows/density"]) == {1.0}


def test_bytes_do_not_depend_on_workers_or_memory(
    tmp_path: Path, source: CheckpointArrays, expected: dict[str, bytes]
) -> None:
    path = save_with(tmp_path / "a.npz", source)
    with pytest.raises(BudgetError, match="--host-memory") as refused:
        convert(path, tmp_path / "s", options(brick_size=8, host_memory="1MB"))
    assert list(tmp_path.iterdir()) == [path]
    smallest = refused.value.smallest_bytes
    for number, workers in enumerate((1, 2, 5)):
        target = tmp_path / str(number)
        convert(path, target, options(brick_size=8, host_memory=smallest, workers=workers))
        assert files(target) == expected


def test_columns_that_a_slab_is_cut_into_change_no_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = random_checkpoint(9, size=(20, 90, 75), active_share=0.1)
    path = save_with(tmp_path / "a.npz", arrays)
    convert(path, tmp_path / "whole", options(brick_size=8))
    monkeypatch.setattr("plenostream.importers.packing.sizing._TASK_BYTES", 10**9)
    report = convert(path, tmp_path / "cut", options(brick_size=8, host_memory="1.1GB"))
    assert report.planned_bytes > 10**9
    assert files(tmp_path / "cut") == files(tmp_path / "whole")


def test_report_counts_what_there_is(tmp_path: Path, source: CheckpointArrays) -> None:
    path = save_with(tmp_path / "a.npz", source, packed=True)
    report = convert(path, tmp_path / "s", options())
    assert isinstance(report, ConvertReport)
    assert report.n_voxels == len(source.density)
    assert report.active_share == pytest.approx(len(source.density) / source.links.size)
    assert report.n_bricks == 3 * 2 * 2
    assert report.occupied_share == 1.0
    assert report.source_bytes == path.stat().st_size
    assert report.scene_bytes == sum(
        f.stat().st_size for f in (tmp_path / "s").rglob("*") if f.is_file()
    )
    assert report.spill_bytes == len(source.density) * (4 + 2 * 27)
    assert any("12 stored" in line for line in report.lines())


def test_rows_that_can_be_read_along_need_no_spill(
    tmp_path: Path, source: CheckpointArrays
) -> None:
    report = convert(save_with(tmp_path / "a.npz", source), tmp_path / "s", options())
    assert report.spill_bytes == 0


def test_progress_reaches_its_end_in_every_step(tmp_path: Path, source: CheckpointArrays) -> None:
    told: dict[str, list[tuple[int, int]]] = {}
    convert(
        save_with(tmp_path / "a.npz", source, packed=True),
        tmp_path / "s",
        options(brick_size=8),
        progress=lambda step, done, total: told.setdefault(step, []).append((done, total)),
    )
    assert list(told) == [
        "digest",
        "scan",
        "rows of density_data",
        "rows of sh_data",
        "pack",
        "finish",
    ]
    for steps in told.values():
        assert steps == sorted(steps)
        assert steps[-1][0] == steps[-1][1]


def test_existing_scene_is_replaced_only_when_asked_to(
    tmp_path: Path, source: CheckpointArrays, expected: dict[str, bytes]
) -> None:
    path = save_with(tmp_path / "a.npz", source)
    convert(path, tmp_path / "s", options())
    with pytest.raises(StoreExists, match="--overwrite"):
        convert(path, tmp_path / "s", options(brick_size=8))
    convert(path, tmp_path / "s", options(brick_size=8, overwrite=True))
    assert files(tmp_path / "s") == expected


def test_disk_that_is_too_small_is_seen_before_the_work_starts(
    tmp_path: Path, source: CheckpointArrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "free")
    path = save_with(tmp_path / "a.npz", source)
    for free, what in ((100, "Reading the links"), (10_000, "Converting")):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: usage(free))
        with pytest.raises(StoreError, match=f"{what} may take .* of disk"):
            convert(path, tmp_path / "s", options())
        assert list(tmp_path.iterdir()) == [path]


def test_full_disk_leaves_nothing(
    tmp_path: Path, source: CheckpointArrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = save_with(tmp_path / "a.npz", source)
    monkeypatch.setattr("plenostream.format.writer.encode_chunk", full)
    with pytest.raises(StoreError, match="No space left"):
        convert(path, tmp_path / "s", options())
    assert list(tmp_path.iterdir()) == [path]


def test_checkpoint_that_changes_meanwhile_is_refused(
    tmp_path: Path, source: CheckpointArrays
) -> None:
    path = save_with(tmp_path / "a.npz", source)

    def touch(step: str, done: int, total: int) -> None:
        if step == "finish":
            os.utime(path, ns=(1, 1))

    with pytest.raises(CheckpointError, match="changed while"):
        convert(path, tmp_path / "s", options(), progress=touch)
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_opens_as_a_scene_before_the_end(tmp_path: Path, source: CheckpointArrays) -> None:
    target = tmp_path / "s"

    def look(step: str, done: int, total: int) -> None:
        if (step, done) != ("finish", 1):
            for folder in (target, tmp_path / ".s.partial", tmp_path / ".s.partial" / "scene"):
                with pytest.raises(StoreNotFound):
                    open_store(folder)

    convert(save_with(tmp_path / "a.npz", source), target, options(), progress=look)
    with open_store(target) as store:
        assert store.meta.n_voxels == len(source.density)


def test_second_conversion_to_the_same_target_is_refused(
    tmp_path: Path, source: CheckpointArrays
) -> None:
    path = save_with(tmp_path / "a.npz", source)
    refused: list[PlenostreamError] = []

    def again(step: str, done: int, total: int) -> None:
        if (step, done) == ("finish", 0):
            with pytest.raises(StoreError, match="another conversion") as error:
                convert(path, tmp_path / "s", options())
            refused.append(error.value)

    convert(path, tmp_path / "s", options(), progress=again)
    assert len(refused) == 1
