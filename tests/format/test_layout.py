"""The frozen format: attributes, shapes, keys, order and digests."""

from __future__ import annotations

import copy
import dataclasses
import json
import struct
from typing import Any

import numpy as np
import pytest
import xxhash
import zarr
from hypothesis import given
from hypothesis import strategies as st

from plenostream.errors import StoreFormat
from plenostream.field.basis import BASIS_DIMS
from plenostream.field.grid import BRICK_SIZES, GridSpec
from plenostream.format.attributes import ATTRIBUTES_KEY, decode_attributes, encode_attributes
from plenostream.format.digests import brick_digest
from plenostream.format.layout import (
    FORMAT_VERSION,
    SceneMeta,
    array_specs,
    codec_metadata,
    morton_key,
)
from plenostream.testing.strategies import grids

META = SceneMeta(
    grid=GridSpec(size=(40, 30, 20), radius=(1.0, 0.75, 0.5), center=(0.0, 0.1, -0.2)),
    brick_size=16,
    basis_dim=9,
    n_bricks=12,
    n_occupied=11,
    n_voxels=20_000,
    n_rows=70_000,
    sh_dtype="float16",
    density_rounding=0.25,
    converter="1.0.0",
    source_name="model.npz",
    source_bytes=123_456,
    source_digest="0123456789abcdef",
    tables_digest="fedcba9876543210",
)


@st.composite
def metas(draw: st.DrawFn) -> SceneMeta:
    counts = st.integers(0, 2**40)
    n_bricks = draw(st.integers(0, 10**6))
    return SceneMeta(
        grid=draw(grids()),
        brick_size=draw(st.sampled_from(BRICK_SIZES)),
        basis_dim=draw(st.sampled_from(BASIS_DIMS)),
        n_bricks=n_bricks,
        n_occupied=draw(st.integers(0, n_bricks)),
        n_voxels=draw(counts),
        n_rows=draw(counts),
        sh_dtype=draw(st.sampled_from(("float16", "float32"))),
        density_rounding=draw(st.floats(0, 1e6)),
        converter=draw(st.text(max_size=8)),
        source_name=draw(st.text(st.characters(codec="utf-8"), max_size=20)),
        source_bytes=draw(counts),
        source_digest=META.source_digest,
        tables_digest=META.tables_digest,
    )


@given(meta=metas())
def test_attributes_survive_json(meta: SceneMeta) -> None:
    text = json.dumps(encode_attributes(meta, complete=True))
    assert decode_attributes(json.loads(text), where="scene") == meta


def test_unfinished_scene_does_not_open() -> None:
    with pytest.raises(StoreFormat, match="not complete"):
        decode_attributes(encode_attributes(META, complete=False), where="scene")


def test_newer_format_is_refused_by_its_version() -> None:
    attributes = encode_attributes(META, complete=True)
    attributes[ATTRIBUTES_KEY]["format_version"] = FORMAT_VERSION + 1
    with pytest.raises(StoreFormat, match=f"version {FORMAT_VERSION + 1}"):
        decode_attributes(attributes, where="scene")


@pytest.mark.parametrize("attributes", [{}, {"other": 1}, {ATTRIBUTES_KEY: [1]}])
def test_other_zarr_group_is_not_taken_for_a_scene(attributes: dict[str, Any]) -> None:
    with pytest.raises(StoreFormat, match="not a plenostream scene"):
        decode_attributes(attributes, where="scene")


BODY = encode_attributes(META, complete=True)[ATTRIBUTES_KEY]


@pytest.mark.parametrize("key", sorted(set(BODY) - {"format_version"}))
def test_altered_attribute_is_found(key: str) -> None:
    body = copy.deepcopy(BODY)
    body[key] = [9, 9, 9] if isinstance(body[key], list) else "altered"
    with pytest.raises(StoreFormat, match="altered"):
        decode_attributes({ATTRIBUTES_KEY: body}, where="scene")


@pytest.mark.parametrize("key", sorted(BODY))
def test_missing_attribute_is_found(key: str) -> None:
    body = {k: v for k, v in BODY.items() if k != key}
    with pytest.raises(StoreFormat):
        decode_attributes({ATTRIBUTES_KEY: body}, where="scene")


@pytest.mark.parametrize(
    "change",
    [
        {"basis_dim": 5},
        {"sh_dtype": "float64"},
        {"n_bricks": -1},
        {"n_rows": -1},
        {"brick_size": 12},
    ],
    ids=lambda change: next(iter(change)),
)
def test_attributes_that_cannot_be_are_refused_even_with_a_matching_checksum(
    change: dict[str, Any],
) -> None:
    attributes = encode_attributes(dataclasses.replace(META, **change), complete=True)
    with pytest.raises(StoreFormat):
        decode_attributes(attributes, where="scene")


def test_arrays_have_the_shapes_of_the_documented_table() -> None:
    shapes = {name: (spec.dtype, spec.shape) for name, spec in array_specs(META).items()}
    assert shapes == {
        "bricks/index": ("int32", (12, 3)),
        "bricks/row_start": ("int64", (13,)),
        "bricks/mask": ("uint8", (12, 615)),
        "bricks/boxes": ("uint8", (12, 8, 6)),
        "bricks/density_max": ("float32", (12,)),
        "bricks/sh_bound": ("float32", (12, 3)),
        "bricks/digest": ("uint64", (12,)),
        "rows/density": ("float32", (70_000,)),
        "rows/sh": ("float16", (70_000, 27)),
    }


def test_rows_are_cut_into_chunks_of_the_documented_size() -> None:
    specs = array_specs(META)
    assert [specs["rows/density"].n_chunks, specs["rows/sh"].n_chunks] == [2, 9]
    assert specs["rows/sh"].chunk_shape == (8192, 27)


@given(meta=metas())
def test_bytes_of_a_row_are_whole_shuffled_elements_that_blosc_takes(meta: SceneMeta) -> None:
    for spec in array_specs(meta).values():
        assert 1 <= spec.typesize <= 255
        assert spec.row_bytes % spec.typesize == 0


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
@pytest.mark.parametrize("name", sorted(array_specs(META)))
def test_chunk_keys_and_codecs_are_those_of_plain_zarr(name: str, codec: str) -> None:
    small = dataclasses.replace(META, n_rows=10_000, n_bricks=5)
    spec = array_specs(small)[name]
    store = zarr.storage.MemoryStore()
    array = zarr.create_array(
        store,
        name=name,
        shape=spec.shape,
        chunks=spec.chunk_shape,
        dtype=spec.dtype,
        compressors=codec_metadata(spec, codec=codec)[1:],
        zarr_format=3,
        config={"write_empty_chunks": True},
    )
    array[...] = 1
    keys = {spec.chunk_key(chunk) for chunk in range(spec.n_chunks)}
    stored = {key for key in store._store_dict if not key.endswith("zarr.json")}
    assert stored == keys


def slow_morton(x: int, y: int, z: int) -> int:
    return sum(
        ((value >> bit) & 1) << (3 * bit + axis)
        for bit in range(21)
        for axis, value in enumerate((x, y, z))
    )


@given(index=st.lists(st.tuples(*[st.integers(0, 2**21 - 1)] * 3), min_size=1, max_size=8))
def test_morton_key_interleaves_the_bits(index: list[tuple[int, int, int]]) -> None:
    keys = morton_key(np.array(index, np.int32))
    assert keys.tolist() == [slow_morton(*ijk) for ijk in index]


def brick() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "index": np.array([1, 2, 3], np.int32),
        "mask": rng.integers(0, 256, 92, np.uint8),
        "density": rng.random(5, np.float32),
        "sh": rng.random((5, 27), np.float32).astype(np.float16),
    }


@pytest.mark.parametrize("part", ["index", "mask", "density", "sh"])
def test_digest_changes_with_any_single_bit(part: str) -> None:
    whole, altered = brick(), brick()
    altered[part].view(np.uint8).reshape(-1)[-1] ^= 1
    assert brick_digest(**whole) != brick_digest(**altered)


def test_digest_does_not_depend_on_how_the_arrays_lie_in_memory() -> None:
    plain, other = brick(), brick()
    other["sh"] = np.asfortranarray(other["sh"])
    other["density"] = other["density"].astype(">f4")
    other["index"] = other["index"].astype(np.int64)
    assert brick_digest(**plain) == brick_digest(**other)


def test_digest_is_that_of_the_little_endian_bytes_in_the_documented_order() -> None:
    # Every scene on disk depends on it.
    digest = brick_digest(
        np.array([1, 2, 3], np.int32),
        np.arange(92, dtype=np.uint8),
        np.array([0.5, -1.0], np.float32),
        np.arange(6, dtype=np.float16).reshape(2, 3),
    )
    raw = struct.pack("<3i", 1, 2, 3) + bytes(range(92))
    raw += struct.pack("<2f", 0.5, -1.0) + struct.pack("<6e", *range(6))
    assert digest == xxhash.xxh3_64_intdigest(raw)
