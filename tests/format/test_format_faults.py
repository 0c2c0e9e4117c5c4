"""Every way to lose a chunk is found: by `verify`, and by opening and reading. Never zeros."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from plenostream.errors import StoreError, StoreFormat
from plenostream.format.opening import open_store
from plenostream.format.verify import verify
from plenostream.stream import BrickFetcher
from plenostream.testing.checkpoints import CheckpointArrays, random_checkpoint
from plenostream.testing.scenes import write_checkpoint_plain

ARRAYS = [
    *("bricks/index", "bricks/row_start", "bricks/mask", "bricks/boxes", "bricks/density_max"),
    *("bricks/sh_bound", "bricks/digest", "rows/density", "rows/sh"),
]
DOCUMENTS = ["", "bricks", "rows", *ARRAYS]


pytestmark = pytest.mark.usefixtures("small_chunks")


@pytest.fixture(scope="module")
def whole(tiny: CheckpointArrays, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("faults") / "scene.zarr"
    write_checkpoint_plain(path, tiny, brick_size=8)
    return path


@pytest.fixture
def scene(whole: Path, tmp_path: Path) -> Path:
    target = tmp_path / "scene.zarr"
    shutil.copytree(whole, target)
    return target


def read_all(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """What a render of every brick would read."""
    with (
        open_store(path) as store,
        BrickFetcher(store, cache_bytes=10_000_000, n_threads=2) as fetcher,
    ):
        rows = fetcher.take(np.arange(store.meta.n_bricks))
        return rows.density, rows.sh


def chunks_of(path: Path, array: str) -> list[Path]:
    return sorted(p for p in (path / array / "c").rglob("*") if p.is_file())


def delete(chunk: Path, other: Path) -> None:
    chunk.unlink()


def empty(chunk: Path, other: Path) -> None:
    chunk.write_bytes(b"")


def cut_one_byte(chunk: Path, other: Path) -> None:
    chunk.write_bytes(chunk.read_bytes()[:-1])


def cut_in_half(chunk: Path, other: Path) -> None:
    content = chunk.read_bytes()
    chunk.write_bytes(content[: len(content) // 2])


def add_a_byte(chunk: Path, other: Path) -> None:
    chunk.write_bytes(chunk.read_bytes() + b"\0")


def all_zeros(chunk: Path, other: Path) -> None:
    chunk.write_bytes(bytes(chunk.stat().st_size))


def swap_with_the_next(chunk: Path, other: Path) -> None:
    one, two = chunk.read_bytes(), other.read_bytes()
    chunk.write_bytes(two)
    other.write_bytes(one)


def copy_of_the_next(chunk: Path, other: Path) -> None:
    chunk.write_bytes(other.read_bytes())


DAMAGES = [
    delete,
    empty,
    cut_one_byte,
    cut_in_half,
    add_a_byte,
    all_zeros,
    swap_with_the_next,
    copy_of_the_next,
]


def test_whole_scene_is_whole(scene: Path) -> None:
    assert verify(scene).faults == ()
    read_all(scene)


@pytest.mark.parametrize("array", ARRAYS)
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damaged_chunk_is_found(
    scene: Path, array: str, damage: Callable[[Path, Path], None]
) -> None:
    chunks = chunks_of(scene, array)
    assert len(chunks) > 1
    damage(chunks[0], chunks[1])
    report = verify(scene)
    assert not report.ok
    assert any(array in fault.message or array == fault.array for fault in report.faults) or (
        # A swap of sound chunks of rows shows at the bricks, of tables at what contradicts them.
        damage in (swap_with_the_next, copy_of_the_next)
    )
    with pytest.raises(StoreError, match="brick"):
        read_all(scene)


@pytest.mark.parametrize("array", ARRAYS)
def test_flipped_bit_is_found_wherever_it_is(scene: Path, array: str) -> None:
    rng = np.random.default_rng(3)
    for chunk in chunks_of(scene, array):
        content = chunk.read_bytes()
        # Header, checksum, and places in between.
        for at in {0, 4, 12, 15, len(content) - 1, *rng.integers(0, len(content), 3).tolist()}:
            broken = bytearray(content)
            broken[at] ^= 1 << int(rng.integers(8))
            chunk.write_bytes(broken)
            report = verify(scene)
            assert [(f.array, "crc32c" in f.message) for f in report.faults] == [(array, True)]
            with pytest.raises(StoreError, match=array):
                read_all(scene)
        chunk.write_bytes(content)
    assert verify(scene).ok


@pytest.mark.parametrize("name", DOCUMENTS)
def test_missing_document_is_found(scene: Path, name: str) -> None:
    (scene / name / "zarr.json").unlink()
    with pytest.raises(StoreError, match=r"zarr\.json"):
        read_all(scene)
    if name:
        assert f"{name}/zarr.json is missing" in verify(scene).faults[0].message
    else:
        with pytest.raises(StoreError, match=r"zarr\.json"):
            verify(scene)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_flipped_bit_in_a_document_is_found_or_changes_nothing(scene: Path, name: str) -> None:
    document = scene / name / "zarr.json"
    content = document.read_bytes()
    meaning = json.loads(content)
    density, sh = read_all(scene)
    rng = np.random.default_rng(4)
    for _ in range(40):
        broken = bytearray(content)
        broken[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
        document.write_bytes(broken)
        try:
            noticed = not verify(scene).ok
        except StoreFormat:
            noticed = True
        try:
            again = read_all(scene)
        except StoreError:
            assert noticed, bytes(broken)
            continue
        # How values are stored, and notes beside them, may change as long as the values do not.
        assert noticed or name or json.loads(broken) == meaning, bytes(broken)
        np.testing.assert_array_equal(again[0], density)
        np.testing.assert_array_equal(again[1], sh)


@pytest.mark.parametrize("array", [name for name in ARRAYS if name.startswith("bricks/")][2:])
def test_table_of_another_scene_is_found(scene: Path, tmp_path: Path, array: str) -> None:
    # The same bricks, all occupied, of other content: each table is sound in itself.
    other = random_checkpoint(9, active_share=0.015, negative_share=0.0)
    write_checkpoint_plain(tmp_path / "other.zarr", other, brick_size=8)
    shutil.rmtree(scene / array)
    shutil.copytree(tmp_path / "other.zarr" / array, scene / array)
    assert not verify(scene).ok
    with pytest.raises(StoreError, match="bricks/"):
        read_all(scene)


def test_scene_cut_off_while_it_was_copied_is_found(whole: Path, tmp_path: Path) -> None:
    files = sorted(p.relative_to(whole) for p in whole.rglob("*") if p.is_file())
    for n_copied in range(0, len(files), 3):
        target = tmp_path / f"{n_copied}.zarr"
        for file in files[:n_copied]:
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(whole / file, target / file)
        with pytest.raises(StoreError):
            read_all(target)
