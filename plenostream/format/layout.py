"""The scene format, versions 1 and 2: names, types, shapes, chunks, codecs and attributes.

A scene is a Zarr v3 group. Everything a reader needs is standard Zarr: the codecs are `bytes`
(little endian), `blosc` and `crc32c`, the chunk keys are the default ones (``rows/sh/c/0/0``).

=====================  ==================================  ==========================================
array                  dtype, shape                        what
=====================  ==================================  ==========================================
``bricks/index``       int32 [n, 3]                        brick coordinates
``bricks/row_start``   int64 [n + 1]                       rows of brick b: [row_start[b], row_start[b + 1])
``bricks/mask``        uint8 [n, ceil((B + 1)^3 / 8)]      bit v (little bit order) of local voxel v (C order,
                                                           z fastest): active; its rank among the set bits
                                                           is its row
``bricks/boxes``       uint8 [n, (B / 8)^3, 6]             per block of 8^3 cells (C order) the tight box of the
                                                           cells with a corner of positive density: lower
                                                           x y z, upper x y z (exclusive), in cells of the
                                                           brick; lower = upper: empty. Only cells of the grid:
                                                           an axis of `size` voxels has size - 1
``bricks/density_max`` float32 [n]                         largest density; 0 for bricks that are not occupied
``bricks/sh_bound``    float32 [n, 3]                      largest norm, over voxels and channels, of the
                                                           coefficients of degree 0, 1, and 2 or more:
                                                           of the first function, the next three, the others
``bricks/digest``      uint64 [n]                          `brick_digest` of place, mask and rows
``rows/density``       float32 [m]                         density per row (per world unit)
``rows/sh``            float16 or float32 [m, 3 dim]       coefficients per row, channel-major
=====================  ==================================  ==========================================

A coarser level has these arrays once more, in its group: see `levels`. What the root's document says
besides is a `SceneMeta`, as `attributes` writes and reads it.

Version 2 is of scenes that hold what an old reader would not draw: see `extras`. All others are of
version 1.

Bricks lie in slabs of four along x, one slab after another, each slab in Morton order
(`morton_key`); the rows of a brick follow each other in the order of its mask's bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import StoreFormat
from plenostream.field.basis import SphericalHarmonics
from plenostream.field.grid import BrickGrid, GridSpec
from plenostream.field.levels import coarse_grid
from plenostream.field.ndc import Ndc
from plenostream.format.extras import BackgroundMeta, LearnedBasis
from plenostream.format.levels import LevelCounts, level_folder
from plenostream.format.table_sections import TableSections

__all__ = [
    "DENSITY_ROWS_PER_CHUNK",
    "FORMAT_VERSION",
    "ROW_ARRAYS",
    "SH_ROWS_PER_CHUNK",
    "SLAB_BRICKS",
    "TABLES",
    "ArraySpec",
    "SceneMeta",
    "array_specs",
    "background_specs",
    "check_counts",
    "codec_metadata",
    "extra_names",
    "fill_value",
    "groups_of",
    "morton_key",
    "storage_entries",
]

FORMAT_VERSION = 2
"""The newest, which is that of scenes that have something of `extras`."""
SLAB_BRICKS = 4
"""Bricks along x that are converted, ordered and written together."""
BRICKS_PER_CHUNK = 4096
DENSITY_ROWS_PER_CHUNK = 65_536
SH_ROWS_PER_CHUNK = 8192
EXTRA_CHUNK_BYTES = 1 << 20
"""Bytes of a chunk of background layers or of a basis, or of a single row where that has more."""
TABLES = ("index", "row_start", "mask", "boxes", "density_max", "sh_bound", "digest")
"""Arrays of the group `bricks`, in the order in which `tables_digest` takes them."""
ROW_ARRAYS = ("rows/density", "rows/sh")
"""Arrays of the group `rows`."""
_LARGEST_TYPESIZE = 255
"""Blosc shuffles elements of at most this many bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneMeta:
    """What a scene says about itself: the group's attributes, without `complete`."""

    grid: GridSpec
    """Shape and place of the voxel grid."""
    brick_size: int
    """Cells per axis of a brick, B."""
    basis_dim: int
    """Basis functions per channel; of spherical harmonics, 1, 4, 9, 16 or 25."""
    n_bricks: int
    """Stored bricks: those that hold an active voxel."""
    n_occupied: int
    """Bricks that hold a voxel of positive density: the ones a render may need."""
    n_voxels: int
    """Active voxels of the checkpoint's grid."""
    n_rows: int
    """Stored rows: active voxels counted once for each brick that holds them."""
    sh_dtype: str
    """Type of `rows/sh`: float16 or float32."""
    density_rounding: float
    """Largest change of a density of a row by float16 on the device (`density_rounding`), per world unit."""
    converter: str
    """Version of plenostream that wrote the scene."""
    source_name: str
    """File name of the checkpoint, without its folder."""
    source_bytes: int
    """Size of the checkpoint in bytes."""
    source_digest: str
    """xxh3-64 of the checkpoint's bytes, 16 hexadecimal digits."""
    tables_digest: str
    """`tables_digest` of the arrays in `bricks/`, 16 hexadecimal digits."""
    learned: LearnedBasis | None = None
    """What the basis is, where it is not spherical harmonics."""
    background: BackgroundMeta | None = None
    """Layers behind the volume, where it has any."""
    ndc: Ndc | None = None
    """Reference camera of the normalised device coordinates that the volume is in, None for the world."""

    @property
    def format_version(self) -> int:
        """The oldest version whose readers draw such a scene as it is."""
        return FORMAT_VERSION if self.learned or self.background or self.ndc else 1

    @property
    def basis_type(self) -> str:
        """ "SH", "texture" or "MLP"."""
        return self.learned.kind if self.learned else "SH"

    @property
    def basis_bound(self) -> tuple[float, float, float]:
        """See `field.basis.Basis.bound`."""
        if self.learned:
            return self.learned.bound
        return SphericalHarmonics(self.basis_dim).basis.bound

    history: tuple[str, ...] = ()
    """What scenes were edited in which way to make this one, a line each, the first edit first."""
    levels: tuple[LevelCounts, ...] = ()
    """Coarser levels, level 1 first."""
    table_sections: TableSections | None = None
    """Digests of the tables' sections, where there are too many bricks to read the tables whole."""

    def level(self, level: int) -> SceneMeta:
        """What there is to say of a level's arrays, as if it were a scene by itself, with neither
        background layers nor a learned basis: these are the scene's."""
        if level == 0:
            return self
        counts = self.levels[level - 1]
        own = {field.name: getattr(counts, field.name) for field in fields(counts)}
        grid = coarse_grid(self.grid, level)
        return replace(self, grid=grid, learned=None, background=None, levels=(), **own)

    @property
    def bricks(self) -> BrickGrid:
        """How the grid is cut."""
        return BrickGrid(size=self.grid.size, brick_size=self.brick_size)

    @property
    def sh_columns(self) -> int:
        """Coefficients of a row, 3 * basis_dim."""
        return 3 * self.basis_dim


@dataclass(frozen=True, slots=True, kw_only=True)
class ArraySpec:
    """One array of a scene."""

    name: str
    """Path inside the group, such as ``rows/sh``."""
    dtype: str
    """NumPy name of the type; little endian on disk."""
    shape: tuple[int, ...]
    chunk_shape: tuple[int, ...]
    typesize: int
    """Bytes that Blosc's byte shuffle takes as one element."""

    @property
    def n_chunks(self) -> int:
        """Chunks along the first axis (there is one along the others)."""
        return -(-self.shape[0] // self.chunk_shape[0])

    @property
    def row_bytes(self) -> int:
        """Bytes of one element along the first axis, decoded."""
        return math.prod(self.shape[1:]) * np.dtype(self.dtype).itemsize

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a decoded chunk; the last one of an array is stored padded to the same size."""
        return self.chunk_shape[0] * self.row_bytes

    def chunk_key(self, chunk: int) -> str:
        """Key of a chunk's bytes inside the store, such as ``rows/sh/c/3/0``."""
        return "/".join([self.name, "c", str(chunk)] + ["0"] * (len(self.shape) - 1))


def array_specs(meta: SceneMeta) -> dict[str, ArraySpec]:
    """The arrays of a scene by name; shapes follow from its attributes."""
    bricks, n, m = meta.bricks, meta.n_bricks, meta.n_rows
    sh_bytes = meta.sh_columns * np.dtype(meta.sh_dtype).itemsize
    # Shuffling whole rows puts equal coefficients side by side: 39.1 bytes a row against 47.1.
    sh_typesize = sh_bytes if sh_bytes <= _LARGEST_TYPESIZE else sh_bytes // 3

    def spec(name: str, dtype: str, shape: tuple[int, ...], rows: int, typesize: int) -> ArraySpec:
        return ArraySpec(
            name=name, dtype=dtype, shape=shape, chunk_shape=(rows, *shape[1:]), typesize=typesize
        )

    per_chunk = BRICKS_PER_CHUNK
    specs = [
        spec("bricks/index", "int32", (n, 3), per_chunk, 12),
        spec("bricks/row_start", "int64", (n + 1,), per_chunk, 8),
        spec("bricks/mask", "uint8", (n, bricks.mask_bytes), per_chunk, 1),
        spec("bricks/boxes", "uint8", (n, bricks.blocks, 6), per_chunk, 6),
        spec("bricks/density_max", "float32", (n,), per_chunk, 4),
        spec("bricks/sh_bound", "float32", (n, 3), per_chunk, 12),
        spec("bricks/digest", "uint64", (n,), per_chunk, 8),
        spec("rows/density", "float32", (m,), DENSITY_ROWS_PER_CHUNK, 4),
        spec("rows/sh", meta.sh_dtype, (m, meta.sh_columns), SH_ROWS_PER_CHUNK, sh_typesize),
    ]

    if meta.background is not None:
        specs += background_specs(meta.background)
    if meta.learned is not None:
        specs.append(_extra("basis/values", "float32", meta.learned.functions.shape, 4))
    return {s.name: s for s in specs}


def background_specs(background: BackgroundMeta) -> list[ArraySpec]:
    """The arrays of background layers."""
    return [
        _extra("background/links", "int32", background.links_shape, 4),
        _extra("background/data", "float32", background.data_shape, 16),
    ]


def _extra(name: str, dtype: str, shape: tuple[int, ...], typesize: int) -> ArraySpec:
    rows = EXTRA_CHUNK_BYTES // (math.prod(shape[1:]) * np.dtype(dtype).itemsize)
    chunk_shape = (max(1, min(rows, shape[0])), *shape[1:])
    return ArraySpec(
        name=name, dtype=dtype, shape=shape, chunk_shape=chunk_shape, typesize=typesize
    )


def groups_of(meta: SceneMeta) -> tuple[str, ...]:
    """Groups below the root."""
    return tuple(dict.fromkeys(name.partition("/")[0] for name in array_specs(meta)))


def extra_names(meta: SceneMeta) -> dict[str, tuple[str, ...]]:
    """Groups of `extras` that a scene has, and the arrays of each in the order of its digest."""
    names = {
        "background": ("background/links", "background/data") if meta.background else (),
        "basis": ("basis/values",) if meta.learned else (),
    }
    return {group: arrays for group, arrays in names.items() if arrays}


def codec_metadata(spec: ArraySpec, *, codec: str) -> list[dict[str, Any]]:
    """The `codecs` entry of an array's ``zarr.json``; `codec` is "zstd" or "lz4"."""
    level = {"zstd": 3, "lz4": 1}[codec]
    blosc = {
        "typesize": spec.typesize,
        "cname": codec,
        "clevel": level,
        "shuffle": "shuffle",
        "blocksize": 0,
    }
    return [
        {"name": "bytes", "configuration": {"endian": "little"}},
        {"name": "blosc", "configuration": blosc},
        {"name": "crc32c"},
    ]


def fill_value(spec: ArraySpec) -> float:
    """What a missing chunk reads as for a plain Zarr reader: NaN where there is one, else 0."""
    return math.nan if np.dtype(spec.dtype).kind == "f" else 0


def storage_entries(spec: ArraySpec, *, codec: str) -> dict[str, Any]:
    """What an array's ``zarr.json`` says of how it is stored."""
    fill = fill_value(spec)
    return {
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": list(spec.chunk_shape)},
        },
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": "NaN" if math.isnan(fill) else fill,
        "codecs": codec_metadata(spec, codec=codec),
    }


def check_counts(meta: SceneMeta, *, where: str) -> None:
    """Refuse (StoreFormat) counts that contradict each other, before anything is allocated by them.

    Each attribute by itself was checked when it was decoded.
    """
    if meta.learned is not None and not meta.learned.fits(meta.basis_dim):
        raise StoreFormat(
            f"{where}: the attributes have basis_dim {meta.basis_dim} and a network of other widths"
        )
    n_sections = -(-meta.n_bricks // BRICKS_PER_CHUNK)
    if meta.table_sections is not None and len(meta.table_sections.sections) != n_sections:
        raise StoreFormat(
            f"{where}: the attributes have {len(meta.table_sections.sections)} table_sections; expected "
            f"{n_sections}, by n_bricks {meta.n_bricks}"
        )
    x, y, z = meta.bricks.shape
    for name, low, high, why in (
        ("n_bricks", 0, x * y * z, f"a grid of {x} x {y} x {z} bricks"),
        ("n_occupied", 0, meta.n_bricks, "n_bricks"),
        ("n_rows", meta.n_bricks, meta.n_bricks * meta.bricks.voxels, "n_bricks and brick_size"),
        # A voxel lies in one brick at least and in eight at most.
        ("n_voxels", -(-meta.n_rows // 8), meta.n_rows, "n_rows"),
    ):
        if not low <= getattr(meta, name) <= high:
            raise StoreFormat(
                f"{where}: the attributes have {name} {getattr(meta, name)}; expected {low} to "
                f"{high}, by {why}"
            )
    for level in range(1, len(meta.levels) + 1):
        check_counts(meta.level(level), where=f"{where}/{level_folder(level)}")


def morton_key(index: NDArray[np.int32]) -> NDArray[np.uint64]:
    """Morton codes [n] of brick coordinates [n, 3] below 2^21, x in the lowest of each three bits."""
    key = np.zeros(len(index), np.uint64)
    for axis in range(3):
        bits = index[:, axis].astype(np.uint64)
        for shift, keep in (
            (32, 0x1F00000000FFFF),
            (16, 0x1F0000FF0000FF),
            (8, 0x100F00F00F00F00F),
            (4, 0x10C30C30C30C30C3),
            (2, 0x1249249249249249),
        ):
            bits = (bits | (bits << np.uint64(shift))) & np.uint64(keep)
        key |= bits << np.uint64(axis)
    return key
