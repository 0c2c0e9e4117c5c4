"""What a scene is and what it takes; rows are read only to count densities."""

from __future__ import annotations

import os
from itertools import pairwise, zip_longest
from typing import Any

import numpy as np

from plenostream.errors import printable
from plenostream.field.ndc import looks_forward_facing
from plenostream.field.precision import pixel_shift
from plenostream.format.contents import bricks_by_rows, density_histogram, world_bounds
from plenostream.format.opening import open_level, open_store
from plenostream.format.reader import SceneStore
from plenostream.results import Progress
from plenostream.rules.bytesize import format_bytes

__all__ = ["info_lines", "scene_info"]

_BAR = 30
"""Characters of the longest bar of a histogram."""
_BASES = {
    "SH": "spherical harmonics",
    "texture": "a learned texture of functions",
    "MLP": "functions of a learned network",
}


def scene_info(
    path: str | os.PathLike[str], *, histogram: bool = False, progress: Progress | None = None
) -> dict[str, Any]:
    """What the scene at `path` is and what it takes, as JSON values (docs/usage.md says which).

    Reads no row, unless `histogram` asks for that of the densities: all of them are read then, and
    `progress` is told.

    Raises
    ------
    StoreError : as `open_store`, or a chunk is missing.
    """
    with open_store(path) as store:
        meta, n_grid_bricks = store.meta, int(np.prod(store.meta.bricks.shape))
        arrays = {
            name: {
                "dtype": spec.dtype,
                "shape": list(spec.shape),
                "chunk_shape": list(store.arrays[name].chain.shape),
                "chunks": store.arrays[name].n_stored,
                "bytes": spec.shape[0] * spec.row_bytes,
                "stored_bytes": store.stored_bytes(name),
                "codec": store.arrays[name].chain.label,
            }
            for name, spec in store.specs.items()
        }
        return {
            "path": store.path,
            "format_version": meta.format_version,
            "grid_size": list(meta.grid.size),
            "radius": list(meta.grid.radius),
            "center": list(meta.grid.center),
            "basis_type": meta.basis_type,
            "basis_dim": meta.basis_dim,
            "ndc": list(meta.ndc) if meta.ndc else None,
            "may_need_ndc": meta.ndc is None and looks_forward_facing(meta.grid),
            "brick_size": meta.brick_size,
            "n_voxels": meta.n_voxels,
            "active_share": meta.n_voxels / float(np.prod(meta.grid.size, dtype=np.float64)),
            "n_bricks": meta.n_bricks,
            "n_occupied": meta.n_occupied,
            "n_grid_bricks": n_grid_bricks,
            "occupied_share": meta.n_occupied / n_grid_bricks,
            "n_rows": meta.n_rows,
            "background_layers": meta.background.layers if meta.background else 0,
            "background_height": meta.background.height if meta.background else 0,
            "sh_dtype": meta.sh_dtype,
            "density_rounding": meta.density_rounding,
            "float16_pixel_shift": pixel_shift(
                store.places.sh_bound[store.places.occupied], meta.basis_bound, meta.sh_dtype
            ),
            "stored_bytes": sum(array["stored_bytes"] for array in arrays.values()),
            "levels": [_level_info(store, level + 1) for level in range(len(meta.levels))],
            "table_bytes": store.tables.nbytes,
            "converter": meta.converter,
            "source_name": meta.source_name,
            "source_bytes": meta.source_bytes,
            "source_digest": meta.source_digest,
            "history": list(meta.history),
            "bounds": world_bounds(store),
            "bricks_by_rows": bricks_by_rows(store),
            "density_histogram": density_histogram(store, progress) if histogram else None,
            "arrays": arrays,
        }


def _level_info(store: SceneStore, level: int) -> dict[str, Any]:
    """What a coarser level is and takes beside the scene's own `stored_bytes`."""
    coarse = open_level(store, level)
    return {
        "level": level,
        "grid_size": list(coarse.meta.grid.size),
        "n_voxels": coarse.meta.n_voxels,
        "n_bricks": coarse.meta.n_bricks,
        "n_occupied": coarse.meta.n_occupied,
        "n_rows": coarse.meta.n_rows,
        "stored_bytes": sum(coarse.stored_bytes(name) for name in coarse.specs),
    }


def _level_lines(info: dict[str, Any]) -> list[str]:
    return [
        f"level {level['level']}    {' x '.join(map(str, level['grid_size']))} voxels, "
        f"{level['n_voxels']} active; {level['n_occupied']} bricks occupied; "
        f"{format_bytes(level['stored_bytes'])} more, "
        f"{level['stored_bytes'] / info['stored_bytes']:.1%}"
        for level in info["levels"]
    ]


def _ndc_lines(info: dict[str, Any]) -> list[str]:
    """What there is to say of the scene's coordinates."""
    if info["ndc"] is not None:
        width, height, fx, fy = info["ndc"]
        return [
            "ndc        normalised device coordinates of a camera of "
            f"{width:g} x {height:g} pixels, focal lengths {fx:g} and {fy:g}"
        ]
    if info["may_need_ndc"]:
        return ["ndc        none named, but the volume lies as those of forward-facing scenes do"]
    return []


def info_lines(info: dict[str, Any]) -> list[str]:
    """`scene_info` for people."""
    size = " x ".join(map(str, info["grid_size"]))
    arrays = info["arrays"]
    width = max(map(len, arrays))
    lines = [
        f"{info['path']}: plenostream scene, format version {info['format_version']}",
        f"grid       {size} voxels, radius {info['radius']}, center {info['center']}",
        *_bounds_lines(info),
        *_ndc_lines(info),
        f"voxels     {info['n_voxels']} active, {info['active_share']:.2%} of the grid",
        f"bricks     {info['n_bricks']} of {info['brick_size']}^3 cells stored; {info['n_occupied']} "
        f"occupied, {info['occupied_share']:.2%} of the grid's {info['n_grid_bricks']}",
        f"rows       {info['n_rows']}: density float32, {3 * info['basis_dim']} coefficients "
        f"{info['sh_dtype']} ({_BASES[info['basis_type']]}, {info['basis_dim']} a channel)",
        *(
            f"background {layers} layers of {2 * height} x {height} texels"
            for layers, height in [(info["background_layers"], info["background_height"])]
            if layers
        ),
        f"float16    on the device changes a channel of a pixel by about "
        f"{info['float16_pixel_shift']:.1g} at most (white is 1)",
        f"size       {format_bytes(info['stored_bytes'])}, of which tables take "
        f"{format_bytes(info['table_bytes'])} in memory",
        *_level_lines(info),
        f"source     {info['source_name']}, {format_bytes(info['source_bytes'])}, xxh3 "
        f"{info['source_digest']}; converted by plenostream {info['converter']}",
        *(f"edited     {line}" for line in info["history"]),
        *(
            f"  {name:{width}}  {array['dtype']:8} {array['shape']}, {array['chunks']} chunks, "
            f"{array['codec']}, {format_bytes(array['stored_bytes'])} "
            f"of {format_bytes(array['bytes'])}"
            for name, array in arrays.items()
        ),
        *_bars(
            "bricks by rows",
            [f"{low + 1} to {high}" for low, high in pairwise(info["bricks_by_rows"]["edges"])],
            info["bricks_by_rows"]["bricks"],
        ),
        *_density_lines(info["density_histogram"]),
    ]
    return [printable(line) for line in lines]


def _bounds_lines(info: dict[str, Any]) -> list[str]:
    unit = "world units" if info["ndc"] is None else "in its own coordinates"
    lines = []
    for name in ("volume", "drawn"):
        if info["bounds"][name] is not None:
            low, high = (", ".join(f"{v:.4g}" for v in corner) for corner in info["bounds"][name])
            lines.append(f"{name:10} from ({low}) to ({high}), {unit}")
    return lines


def _density_lines(histogram: dict[str, Any] | None) -> list[str]:
    if histogram is None:
        return []
    edges = [f"{edge:g}" for edge in histogram["edges"]]
    ranges = [f"{low} to {high}" for low, high in zip_longest(edges, edges[1:], fillvalue="more")]
    voxels = histogram["voxels"]
    return _bars(
        "voxels by density (per world unit)",
        ["none", *ranges[: len(voxels)]],
        [histogram["n_not_positive"], *voxels],
    )


def _bars(title: str, names: list[str], counts: list[int]) -> list[str]:
    """A histogram for people."""
    width, most = max(map(len, names)), max(1, *counts)
    lines = [
        f"  {name:>{width}}  {count:>10}  {'#' * -(-_BAR * count // most)}".rstrip()
        for name, count in zip(names, counts, strict=True)
    ]
    return [title, *lines]
