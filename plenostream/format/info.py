"""What a scene is and what it takes, without reading a row."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from plenostream.errors import printable
from plenostream.field.ndc import looks_forward_facing
from plenostream.field.precision import pixel_shift
from plenostream.format.reader import open_store
from plenostream.rules.bytesize import format_bytes

__all__ = ["info_lines", "scene_info"]

_BASES = {
    "SH": "spherical harmonics",
    "texture": "a learned texture of functions",
    "MLP": "functions of a learned network",
}


def scene_info(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What the scene at `path` is and what it takes, as JSON values; reads no row.

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
                store.tables.sh_bound[store.tables.occupied], meta.basis_bound, meta.sh_dtype
            ),
            "stored_bytes": sum(array["stored_bytes"] for array in arrays.values()),
            "table_bytes": store.tables.nbytes,
            "converter": meta.converter,
            "source_name": meta.source_name,
            "source_bytes": meta.source_bytes,
            "source_digest": meta.source_digest,
            "arrays": arrays,
        }


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
        f"source     {info['source_name']}, {format_bytes(info['source_bytes'])}, xxh3 "
        f"{info['source_digest']}; converted by plenostream {info['converter']}",
        *(
            f"  {name:{width}}  {array['dtype']:8} {array['shape']}, {array['chunks']} chunks, "
            f"{array['codec']}, {format_bytes(array['stored_bytes'])} "
            f"of {format_bytes(array['bytes'])}"
            for name, array in arrays.items()
        ),
    ]
    return [printable(line) for line in lines]
