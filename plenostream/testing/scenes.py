"""A scene written the slow and plain way: straight from `format.layout`, brick by brick, with zarr.

Shares nothing with the converter but the layout, so it says what the converter has to write.
"""

from __future__ import annotations

import itertools
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec

from plenostream.field.grid import BLOCK_SIZE, BrickGrid, GridSpec
from plenostream.field.learned import NetworkBasis, TextureBasis
from plenostream.field.precision import density_rounding, density_unit
from plenostream.format.attributes import encode_attributes
from plenostream.format.digests import brick_digest, tables_digest
from plenostream.format.extras import BackgroundMeta, LearnedBasis
from plenostream.format.layout import (
    SLAB_BRICKS,
    SceneMeta,
    array_specs,
    codec_metadata,
    morton_key,
)
from plenostream.options import Codec
from plenostream.testing.checkpoints import CheckpointArrays

__all__ = ["SMALL_CHUNKS", "write_checkpoint_plain", "write_scene_plain", "zip_scene"]

SMALL_CHUNKS = {
    "BRICKS_PER_CHUNK": 3,
    "DENSITY_ROWS_PER_CHUNK": 512,
    "SH_ROWS_PER_CHUNK": 256,
    "EXTRA_CHUNK_BYTES": 2000,
}
"""Sizes that tests put in place of those of `format.layout`, so that tiny scenes have many chunks."""
Triple = tuple[float, float, float]
Extras = Mapping[str, NDArray[Any]]


def write_checkpoint_plain(
    path: Path,
    checkpoint: CheckpointArrays,
    *,
    brick_size: int = 16,
    codec: Codec = "zstd",
    extras: Extras | None = None,
) -> SceneMeta:
    """`write_scene_plain` of a checkpoint's arrays."""
    return write_scene_plain(
        path,
        checkpoint.links,
        checkpoint.density,
        checkpoint.sh,
        brick_size=brick_size,
        codec=codec,
        radius=checkpoint.radius,
        center=checkpoint.center,
        extras=extras,
    )


def write_scene_plain(
    path: Path,
    links: NDArray[np.integer[Any]],
    density: NDArray[np.floating[Any]],
    sh: NDArray[np.floating[Any]],
    *,
    brick_size: int = 16,
    codec: Codec = "zstd",
    radius: Triple = (1.0, 1.0, 1.0),
    center: Triple = (0.0, 0.0, 0.0),
    extras: Extras | None = None,
) -> SceneMeta:
    """Write a scene to the new folder `path`; returns what it says about itself.

    Parameters
    ----------
    links : integers [X, Y, Z]     row of each voxel, negative where there is none
    density : [m] or [m, 1]        per row (per world unit), stored as float32
    sh : [m, 3 * basis_dim]        per row, channel-major; float16 stays so, others become float32
    extras                         arrays of a checkpoint's background layers and basis, by name
    """
    density = np.asarray(density, np.float32).reshape(-1)
    sh = sh if sh.dtype == np.float16 else np.asarray(sh, np.float32)
    x, y, z = links.shape
    grid = GridSpec(size=(x, y, z), radius=radius, center=center)
    cut = BrickGrid(size=grid.size, brick_size=brick_size)
    bricks = [
        _Brick(index, cut, links, density, sh) for index in _order(cut) if _any(index, cut, links)
    ]
    n_voxels = int((links >= 0).sum())
    used = density[links[links >= 0]]
    row_start = np.cumsum([0, *(len(b.density) for b in bricks)], dtype=np.int64)

    def table(name: str, dtype: str, *shape: int) -> NDArray[Any]:
        return np.array([getattr(b, name) for b in bricks], dtype).reshape(len(bricks), *shape)

    arrays: dict[str, NDArray[Any]] = {
        "bricks/index": table("index", "int32", 3),
        "bricks/row_start": row_start,
        "bricks/mask": table("mask", "uint8", cut.mask_bytes),
        "bricks/boxes": table("boxes", "uint8", cut.blocks, 6),
        "bricks/density_max": table("density_max", "float32"),
        "bricks/sh_bound": table("sh_bound", "float32", 3),
        "bricks/digest": table("digest", "uint64"),
        "rows/density": np.concatenate([density[:0], *(b.density for b in bricks)]),
        "rows/sh": np.concatenate([sh[:0], *(b.sh for b in bricks)]),
    }
    background, learned, values = _extras(extras or {})
    meta = SceneMeta(
        grid=grid,
        brick_size=brick_size,
        basis_dim=sh.shape[1] // 3,
        n_bricks=len(bricks),
        n_occupied=sum(b.density_max > 0 for b in bricks),
        n_voxels=n_voxels,
        n_rows=int(row_start[-1]),
        sh_dtype=str(sh.dtype),
        density_rounding=density_rounding(used, density_unit(grid)),
        converter="plain",
        source_name="arrays",
        source_bytes=links.nbytes + density.nbytes + sh.nbytes,
        source_digest=xxhash.xxh3_64_hexdigest(b""),
        tables_digest=tables_digest(arrays),
        background=background,
        learned=learned,
    )
    _write(path, meta, arrays | values, codec)
    return meta


def _extras(
    given: Extras,
) -> tuple[BackgroundMeta | None, LearnedBasis | None, dict[str, NDArray[Any]]]:
    """What the attributes say of a checkpoint's background layers and basis, and their arrays."""
    arrays: dict[str, NDArray[Any]] = {}
    background, learned = None, None
    if "background_data" in given:
        links = np.maximum(given["background_links"].astype("<i4"), -1)
        data = np.asarray(given["background_data"], "<f4")
        background = BackgroundMeta(
            height=links.shape[1],
            layers=data.shape[1],
            n_rows=len(data),
            digest=xxhash.xxh3_64_hexdigest(links.tobytes() + data.tobytes()),
        )
        arrays |= {"background/links": links, "background/data": data}
    functions: TextureBasis | NetworkBasis | None = None
    if "basis_data" in given:
        values = np.asarray(given["basis_data"], "<f4")
        functions = TextureBasis(len(values), values.shape[3])
        values = values.reshape(-1, values.shape[3])
    elif "pt__basis_mlp__0__weight" in given:
        layers = [np.asarray(a, "<f4") for name, a in given.items() if name.startswith("pt__")]
        widths = (layers[0].shape[1], *(len(weight) for weight in layers[::2]))
        functions = NetworkBasis(int(given["mlp_posenc_size"]), widths)
        values = np.concatenate([a.reshape(-1) for a in layers])
    if functions is not None:
        learned = LearnedBasis(
            functions=functions,
            bound=functions.bound(values),
            digest=xxhash.xxh3_64_hexdigest(values.tobytes()),
        )
        arrays["basis/values"] = values
    return background, learned, arrays


def zip_scene(
    folder: Path, target: Path, *, compression: int = zipfile.ZIP_STORED, prefix: str = ""
) -> Path:
    """A zip file of a folder's content, written the usual way; returns `target`."""
    with zipfile.ZipFile(target, "w", compression) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, prefix + path.relative_to(folder).as_posix())
    return target


def _order(cut: BrickGrid) -> list[tuple[int, int, int]]:
    """All bricks of a grid in the order of the file: slabs along x, Morton order within a slab."""
    x, y, z = map(range, cut.shape)
    every = list(itertools.product(x, y, z))
    keys = morton_key(np.array(every, np.int32).reshape(-1, 3))
    place = {
        index: (index[0] // SLAB_BRICKS, int(key)) for index, key in zip(every, keys, strict=True)
    }
    return sorted(every, key=place.__getitem__)


def _cut_out(index: tuple[int, ...], cut: BrickGrid, values: NDArray[Any]) -> NDArray[Any]:
    """Links of the (B + 1)^3 voxels of a brick, -1 beyond the grid."""
    out = np.full((cut.edge,) * 3, -1, np.int64)
    part = values[tuple(slice(i * cut.brick_size, i * cut.brick_size + cut.edge) for i in index)]
    out[tuple(map(slice, part.shape))] = part
    return out


def _any(index: tuple[int, ...], cut: BrickGrid, links: NDArray[Any]) -> bool:
    return bool((_cut_out(index, cut, links) >= 0).any())


class _Brick:
    """What the format holds of one brick."""

    def __init__(
        self,
        index: tuple[int, int, int],
        cut: BrickGrid,
        links: NDArray[Any],
        density: NDArray[np.float32],
        sh: NDArray[Any],
    ) -> None:
        local = _cut_out(index, cut, links)
        active = local >= 0
        self.index = np.array(index, np.int32)
        self.mask = np.packbits(active.ravel(), bitorder="little")
        self.density = density[local[active]]
        self.sh = np.ascontiguousarray(sh[local[active]])
        self.density_max = max(0.0, float(self.density.max()))
        dim = sh.shape[1] // 3
        self.sh_bound = [
            np.linalg.norm(self.sh.reshape(-1, 3, dim)[..., band].astype(np.float64), axis=-1).max(
                initial=0.0
            )
            for band in (slice(0, 1), slice(1, 4), slice(4, dim))
        ]
        sigma = np.zeros(local.shape, np.float32)
        sigma[active] = self.density
        beyond = [n - 1 - i * cut.brick_size for n, i in zip(cut.size, index, strict=True)]
        self.boxes = [_tight_box(sigma, block, beyond) for block in _blocks(cut)]
        self.digest = brick_digest(self.index, self.mask, self.density, self.sh)


def _blocks(cut: BrickGrid) -> Iterator[tuple[int, int, int]]:
    starts = range(0, cut.brick_size, BLOCK_SIZE)
    return itertools.product(starts, starts, starts)


def _tight_box(
    sigma: NDArray[np.float32], block: tuple[int, int, int], beyond: list[int]
) -> list[int]:
    """Lower and upper cell of those in a block that have a corner of positive density.

    `beyond` [3] is the first cell of each axis that is outside the grid.
    """
    ranges = [range(b, min(b + BLOCK_SIZE, end)) for b, end in zip(block, beyond, strict=True)]
    cells = [
        cell
        for cell in itertools.product(*ranges)
        if (sigma[tuple(slice(c, c + 2) for c in cell)] > 0).any()
    ]
    if not cells:
        return [0] * 6
    return [*np.min(cells, axis=0), *(np.max(cells, axis=0) + 1)]


def _write(path: Path, meta: SceneMeta, arrays: dict[str, NDArray[Any]], codec: Codec) -> None:
    root = zarr.create_group(path, zarr_format=3)
    for name, spec in array_specs(meta).items():
        blosc: dict[str, Any] = codec_metadata(spec, codec=codec)[1]
        floating = np.dtype(spec.dtype).kind == "f"
        array = root.create_array(
            name,
            shape=spec.shape,
            dtype=spec.dtype,
            chunks=spec.chunk_shape,
            fill_value=float("nan") if floating else 0,
            filters=None,
            serializer=BytesCodec(endian="little"),
            compressors=[BloscCodec.from_dict(blosc), Crc32cCodec()],
            config={"write_empty_chunks": True},
        )
        if arrays[name].size:
            array[...] = arrays[name]
    root.update_attributes(encode_attributes(meta, complete=True))
