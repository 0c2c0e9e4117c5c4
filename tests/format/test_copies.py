"""A scene that zarr copied, in other chunks, shards and codecs, reads as it did."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, GzipCodec, TransposeCodec, ZstdCodec

from plenostream.errors import BrickCorrupt
from plenostream.format.info import scene_info
from plenostream.format.opening import open_store
from plenostream.format.verify import verify
from plenostream.stream import BrickFetcher
from plenostream.testing.checkpoints import CheckpointArrays, single_voxel_checkpoint
from plenostream.testing.scenes import write_checkpoint_plain

WAYS: dict[str, Any] = {
    "the same": {},
    "gzip": {"compressors": [GzipCodec(level=1)]},
    "zstd": {"compressors": [ZstdCodec(level=1)]},
    "zstd with its own checksum": {"compressors": [ZstdCodec(level=1, checksum=True)]},
    "two compressors": {"compressors": [ZstdCodec(), GzipCodec(), Crc32cCodec()]},
    "none": {"compressors": None},
    "lz4": {"compressors": [BloscCodec(cname="lz4", typesize=1)]},
    "big endian": {"serializer": BytesCodec(endian="big")},
    "transposed": {"filters": [TransposeCodec(order=(1, 0))]},
    "small chunks": {"chunks": 100},
    "columns cut": {"chunks": (100, 7)},
    "one chunk": {"chunks": 10_000, "compressors": [GzipCodec()]},
    "shards": {"chunks": 50, "shards": 400},
    "shards of columns": {"chunks": (50, 9), "shards": (400, 27)},
    "keys of version 2": {"chunk_key_encoding": {"name": "v2", "separator": "."}},
    "zero for what is missing": {"fill_value": 0},
    "names of axes": {"attributes": {"a": 1}},
}


def fit(settings: dict[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    """The settings for an array: rows alone are cut where a number is given."""
    out = dict(settings)
    for name in ("chunks", "shards"):
        if isinstance(out.get(name), int):
            out[name] = (out[name], *shape[1:])
        elif name in out and (len(shape) != 2 or shape[1] < out[name][1]):
            out[name] = (out[name][0], *shape[1:])
    if "filters" in out:
        out["filters"] = [TransposeCodec(order=tuple(reversed(range(len(shape)))))]
    return out


def zarr_copy(source: Path, target: Path, settings: dict[str, Any]) -> Path:
    old = zarr.open_group(source, mode="r")
    new = zarr.create_group(target, attributes=dict(old.attrs) | {"note": "copied"})
    for group in ("bricks", "rows"):
        for name, array in old[group].arrays():
            zarr.from_array(
                new.store_path.store,
                name=f"{group}/{name}",
                data=array,
                dimension_names=[None] * array.ndim,
                **fit(settings, array.shape),
            )
    return target


@pytest.fixture(scope="module")
def scene(tiny: CheckpointArrays, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("copies") / "scene.zarr"
    write_checkpoint_plain(path, tiny, brick_size=8)
    return path


@pytest.mark.parametrize("way", WAYS)
def test_copy_reads_as_zarr_reads_it_and_is_whole(scene: Path, tmp_path: Path, way: str) -> None:
    copied = zarr_copy(scene, tmp_path / "c.zarr", WAYS[way])
    group = zarr.open_group(copied, mode="r")
    with open_store(copied) as store:
        for name in store.specs:
            np.testing.assert_array_equal(store.read_array(name), group[name][...], strict=True)
        smallest = 10_000_000
        with BrickFetcher(store, cache_bytes=smallest, n_threads=2) as fetcher:
            fetcher.take(np.arange(store.meta.n_bricks))
    assert verify(copied).faults == ()
    assert scene_info(copied)["stored_bytes"] > 0


def test_consolidated_metadata_is_let_be(scene: Path, tmp_path: Path) -> None:
    copied = zarr_copy(scene, tmp_path / "c.zarr", {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)
        zarr.consolidate_metadata(copied)
    assert verify(copied).ok


def test_a_root_that_says_something_else_of_an_array_is_found(scene: Path, tmp_path: Path) -> None:
    copied = zarr_copy(scene, tmp_path / "c.zarr", {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)
        zarr.consolidate_metadata(copied)
    root = json.loads((copied / "zarr.json").read_bytes())
    del root["consolidated_metadata"]["metadata"]["rows/sh"]["codecs"][-1]
    (copied / "zarr.json").write_text(json.dumps(root))
    (fault,) = verify(copied).faults
    assert "something else of rows/sh" in fault.message


def test_chunk_that_zarr_leaves_out_is_its_fill_value(tmp_path: Path) -> None:
    # One brick at (0, 0, 0): all of its index is the fill value.
    write_checkpoint_plain(tmp_path / "s.zarr", single_voxel_checkpoint(), brick_size=32)
    copied = zarr_copy(tmp_path / "s.zarr", tmp_path / "c.zarr", {})
    assert not (copied / "bricks" / "index" / "c").exists()
    assert verify(copied).ok


@pytest.mark.parametrize("way", ["gzip", "zstd", "shards", "none", "transposed"])
def test_damaged_copy_is_found(scene: Path, tmp_path: Path, way: str) -> None:
    copied = zarr_copy(scene, tmp_path / "c.zarr", WAYS[way])
    rng = np.random.default_rng(5)
    (chunk, *_) = (p for p in (copied / "rows" / "sh" / "c").rglob("*") if p.is_file())
    content = chunk.read_bytes()
    n_rows = len(content) // 54 if way in ("none", "transposed") else 0
    for at in rng.integers(0, len(content) if not n_rows else 54 * 100, 20).tolist():
        broken = bytearray(content)
        broken[at] ^= 64
        chunk.write_bytes(broken)
        try:
            with (
                open_store(copied) as store,
                BrickFetcher(store, cache_bytes=10**7, n_threads=1) as fetcher,
            ):
                rows = fetcher.take(np.arange(store.meta.n_bricks))
        except BrickCorrupt:
            continue
        with open_store(scene) as store, BrickFetcher(store, cache_bytes=10**7, n_threads=1) as f:
            np.testing.assert_array_equal(rows.sh, f.take(np.arange(store.meta.n_bricks)).sh)
