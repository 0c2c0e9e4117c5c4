"""Chunks are written whole and once, whoever writes which rows, and as zarr would write them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from plenostream.errors import InternalError
from plenostream.field.grid import GridSpec
from plenostream.format.layout import ArraySpec, SceneMeta, array_specs
from plenostream.format.target import FolderTarget
from plenostream.format.writer import (
    ChunkWriter,
    Edge,
    encode_chunk,
    is_sound_chunk,
    write_documents,
    write_edges,
)

META = SceneMeta(
    grid=GridSpec(size=(40, 30, 20)),
    brick_size=16,
    basis_dim=9,
    n_bricks=5,
    n_occupied=4,
    n_voxels=9_000,
    n_rows=10_000,
    sh_dtype="float16",
    density_rounding=0.0,
    converter="1.0.0",
    source_name="model.npz",
    source_bytes=1,
    source_digest="0123456789abcdef",
    tables_digest="0123456789abcdef",
)


def small_spec(n_rows: int) -> ArraySpec:
    return ArraySpec(
        name="rows/x", dtype="float32", shape=(n_rows, 2), chunk_shape=(10, 2), typesize=8
    )


def stored(scene: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(scene)): path.read_bytes()
        for path in scene.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_chunks_are_those_that_zarr_reads(tmp_path: Path, codec: str) -> None:
    specs = array_specs(META)
    rng = np.random.default_rng(2)
    values = {
        "rows/sh": rng.normal(size=(10_000, 27)).astype(np.float16),
        "bricks/index": rng.integers(0, 9, (5, 3)).astype(np.int32),
        "bricks/digest": rng.integers(0, 2**63, 5).astype(np.uint64),
    }
    for name, rows in values.items():
        writer = ChunkWriter(FolderTarget(tmp_path).put, specs[name], codec=codec, start=0)
        writer.append(rows)
        assert writer.close() == []
    write_documents(FolderTarget(tmp_path), META, codec=codec, where="it")
    group = zarr.open_group(tmp_path, mode="r")
    for name, rows in values.items():
        np.testing.assert_array_equal(np.asarray(group[name]), rows)


def test_zarr_finds_in_the_root_what_all_other_documents_say(tmp_path: Path) -> None:
    write_documents(FolderTarget(tmp_path), META, codec="zstd", where="it")
    with_root, alone = (
        {
            name: node.metadata.to_dict() | {"consolidated_metadata": None}
            for name, node in zarr.open_group(tmp_path, mode="r", use_consolidated=kept).members(
                max_depth=None
            )
        }
        for kept in (True, False)
    )
    assert with_root == alone
    assert len(alone) == len(array_specs(META)) + 2


def test_missing_chunk_reads_as_nan_in_zarr(tmp_path: Path) -> None:
    write_documents(FolderTarget(tmp_path), META, codec="zstd", where="it")
    assert np.isnan(np.asarray(zarr.open_group(tmp_path, mode="r")["rows/density"])).all()


def test_same_rows_give_the_same_bytes_on_the_main_thread_and_others() -> None:
    spec = array_specs(replace(META, n_rows=8192))["rows/sh"]
    rows = np.random.default_rng(3).integers(-20, 20, (8192, 27)).astype(np.float16)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(encode_chunk, spec, rows, codec="zstd").result()
    assert {encode_chunk(spec, rows, codec="zstd") for _ in range(5)} == {other}


@given(
    n_rows=st.integers(0, 45),
    cuts=st.lists(st.integers(0, 45), max_size=6),
    step=st.integers(1, 13),
)
def test_writers_of_parts_together_write_what_one_writes(
    tmp_path_factory: pytest.TempPathFactory, n_rows: int, cuts: list[int], step: int
) -> None:
    spec = small_spec(n_rows)
    values = np.arange(2 * n_rows, dtype=np.float32).reshape(n_rows, 2)
    one, many = (tmp_path_factory.mktemp("scene") for _ in range(2))
    whole = ChunkWriter(FolderTarget(one).put, spec, codec="lz4", start=0)
    whole.append(values)
    assert whole.close() == []
    edges: list[Edge] = []
    bounds = sorted({0, n_rows, *(min(cut, n_rows) for cut in cuts)})
    for start, stop in zip(bounds, bounds[1:], strict=False):
        writer = ChunkWriter(FolderTarget(many).put, spec, codec="lz4", start=start)
        for at in range(start, stop, step):
            writer.append(values[at : min(at + step, stop)])
        edges += writer.close()
    write_edges(FolderTarget(many).put, spec, edges, codec="lz4")
    assert stored(many) == stored(one)


def test_rows_that_nobody_wrote_are_an_internal_error(tmp_path: Path) -> None:
    rows = np.zeros((3, 2), np.float32)
    edges = [Edge(start=10, rows=rows), Edge(start=14, rows=rows)]
    with pytest.raises(InternalError, match="rows 13 to 14"):
        write_edges(FolderTarget(tmp_path).put, small_spec(30), edges, codec="zstd")


def test_rows_of_another_type_are_an_internal_error(tmp_path: Path) -> None:
    writer = ChunkWriter(FolderTarget(tmp_path).put, small_spec(30), codec="zstd", start=0)
    with pytest.raises(InternalError, match="float64"):
        writer.append(np.zeros((3, 2)))


def test_rows_beyond_the_array_are_an_internal_error(tmp_path: Path) -> None:
    writer = ChunkWriter(FolderTarget(tmp_path).put, small_spec(2), codec="zstd", start=0)
    with pytest.raises(InternalError, match="3 rows"):
        writer.append(np.zeros((3, 2), np.float32))


def test_chunk_with_a_flipped_bit_is_not_sound(tmp_path: Path) -> None:
    spec = small_spec(10)
    writer = ChunkWriter(FolderTarget(tmp_path).put, spec, codec="zstd", start=0)
    writer.append(np.ones((10, 2), np.float32))
    writer.close()
    assert is_sound_chunk(FolderTarget(tmp_path), spec, 0)
    path = tmp_path / spec.chunk_key(0)
    content = bytearray(path.read_bytes())
    content[7] ^= 1
    path.write_bytes(content)
    assert not is_sound_chunk(FolderTarget(tmp_path), spec, 0)


def test_missing_chunk_is_not_sound(tmp_path: Path) -> None:
    assert not is_sound_chunk(FolderTarget(tmp_path), small_spec(10), 0)


def test_scene_says_that_it_is_complete(tmp_path: Path) -> None:
    write_documents(FolderTarget(tmp_path), META, codec="zstd", where="it")
    document = json.loads((tmp_path / "zarr.json").read_text())
    assert document["attributes"]["plenostream"]["complete"] is True
