"""The records that the kernels are given: the same as in `kernels/*.h`."""

from __future__ import annotations

from ctypes import (
    POINTER,
    Structure,
    c_double,
    c_float,
    c_int32,
    c_int64,
    c_void_p,
)

import numpy as np

from plenostream.field.tiles import TILE_RAYS

__all__ = [
    "AOV_FIELDS",
    "ARGUMENTS",
    "BOX",
    "COUNTERS",
    "Aovs",
    "Back",
    "Batch",
    "Counts",
    "HandOver",
    "Layers",
    "Meeting",
    "OutwardRays",
    "Pool",
    "Rays",
    "Scene",
    "Step",
    "Trained",
    "WorldRays",
    "row_vectors",
    "tile_dtype",
]

COUNTERS = ("samples_marched", "samples_shaded", "march_lanes", "shade_lanes")
"""What the kernels count, in the order of `Counts`."""

ROW_LANES, _ROW_FUNCTIONS = 16, 5
"""Numbers of one vector of a colour row, and the basis functions that it holds."""

BOX = np.dtype([("low", np.uint8, 3), ("high", np.uint8, 3), ("spare", np.uint8, 2)])
"""Cells [low, high) of a block, counted from the first of its brick; all 0: none can contribute."""


def row_vectors(basis_dim: int) -> int:
    """Vectors of a colour row that holds so many functions a channel."""
    return -(-basis_dim // _ROW_FUNCTIONS)


def tile_dtype(basis_dim: int, n_aovs: int) -> np.dtype[np.void]:
    """The record of a tile of rays."""
    rays = TILE_RAYS
    return np.dtype(
        [
            ("entry", np.float64, (3, rays)),
            ("direction", np.float64, (3, rays)),
            ("t_min", np.float32, rays),
            ("n_samples", np.int32, rays),
            ("next", np.int32, rays),
            ("depth", np.int32, rays),
            ("trans", np.float32, rays),
            ("left", np.float32, rays),
            ("seen", np.float32, (rays, 4)),
            ("basis", np.float32, (basis_dim, rays)),
            ("aovs", np.float32, (n_aovs, rays)),
        ]
    )


_Three = c_int32 * 3
_Triple = c_double * 3


AOV_FIELDS = {
    "mean_depth": "mean-depth",
    "median_depth": "median-depth",
    "density_depth": "density-depth",
    "normals": "normals",
    "cost": "cost",
}
"""Fields of `Aovs`, beside `n`, and whose first columns they are."""


class Aovs(Structure):
    """Columns that rays gather beside colour, depth and alpha."""

    _fields_ = [("n", c_int32), *((field, c_int32) for field in AOV_FIELDS)]


class Scene(Structure):
    """A scene, and the rule of its samples."""

    _fields_ = [
        ("size", _Three),
        ("brick_size", c_int32),
        ("brick_bits", c_int32),
        ("edge", c_int32),
        ("voxels", c_int32),
        ("blocks_bits", c_int32),
        ("bricks", _Three),
        ("unit_bits", c_int32),
        ("units", _Three),
        ("unit_strides", _Three),
        ("basis_dim", c_int32),
        ("distance", c_void_p),
        ("brick_at", c_void_p),
        ("boxes", c_void_p),
        ("extent", _Triple),
        ("margin", c_double),
        ("low", _Three),
        ("high", _Three),
        ("scale", _Triple),
        ("offset", _Triple),
        ("step", c_double),
        ("near_clip", c_double),
        ("far_cap", c_double),
        ("unit", c_double),
        ("sigma_thresh", c_float),
        ("stop_thresh", c_float),
        ("opaque_tau", c_float),
        ("spheric_clip", c_int32),
        ("light", c_int32),
        ("depth_density", c_float),
        ("steepness", c_float * 3),
        ("aovs", Aovs),
    ]


class Pool(Structure):
    """Bricks in memory."""

    _fields_ = [
        ("density", c_void_p),
        ("place_of", c_void_p),
        ("live", c_void_p),
        ("rows", c_void_p),
        ("weight", c_void_p),
        ("wide", c_int32),
        ("vectors", c_int32),
    ]


class WorldRays(Structure):
    """Rays in the world."""

    _fields_ = [
        ("origins", c_void_p),
        ("directions", c_void_p),
        ("valid", c_void_p),
        ("n", c_int64),
        ("nearest", c_double),
        ("farthest", c_double),
    ]


class Rays(Structure):
    """All tiles of a picture."""

    _fields_ = [
        ("tiles", c_void_p),
        ("tile_bytes", c_int64),
        ("live", c_void_p),
        ("n_tiles", c_int32),
        ("claimed", c_int32),
        ("stop", c_int32),
        ("spare", c_int32),
    ]


class Batch(Structure):
    """Bricks on their way into the pool."""

    _fields_ = [
        ("mask", c_void_p),
        ("density", c_void_p),
        ("sh", c_void_p),
        ("run_start", c_void_p),
        ("row_start", c_void_p),
        ("slots", c_void_p),
        ("pages", c_void_p),
        ("page_start", c_void_p),
        ("source", c_void_p),
        ("n_bricks", c_int32),
        ("n_runs", c_int32),
        ("mask_bytes", c_int32),
        ("sh_wide", c_int32),
        ("renewed", c_int32),
        ("claimed", c_int32),
    ]


class Meeting(Structure):
    """Which bricks packets may meet, as far as they were looked at."""

    _fields_ = [
        ("packet", c_int32),
        ("end", c_int32),
        ("capacity", c_int32),
        ("n_bricks", c_int32),
        ("bricks", c_void_p),
        ("n_met", c_void_p),
        ("met_by", c_void_p),
    ]


class Layers(Structure):
    """Layers behind the volume."""

    _fields_ = [
        ("links", c_void_p),
        ("texels", c_void_p),
        ("slot_of", c_void_p),
        ("around", c_int32),
        ("height", c_int32),
        ("n_layers", c_int32),
        ("chunk_rows", c_int32),
        ("n_spheres", c_int32),
        ("spare", c_int32),
        ("center", _Triple),
        ("scale", _Triple),
        ("stop_thresh", c_double),
    ]


class OutwardRays(Structure):
    """Rays that have left the volume."""

    _fields_ = [
        ("origins", c_void_p),
        ("directions", c_void_p),
        ("trans", c_void_p),
        ("before", c_void_p),
        ("colour", c_void_p),
        ("next", c_void_p),
        ("wanted", c_void_p),
        ("urgent", c_void_p),
        ("n", c_int64),
    ]


class Trained(Structure):
    """Rows that are trained, and the derivatives of those that a step touches."""

    _fields_ = [
        ("density", c_void_p),
        ("sh", c_void_p),
        ("density_square", c_void_p),
        ("sh_square", c_void_p),
        ("by_density", c_void_p),
        ("by_sh", c_void_p),
        ("touched", c_void_p),
        ("beyond", c_void_p),
        ("columns", c_int32),
        ("spare", c_int32),
    ]


class Step(Structure):
    """What a step of an optimiser goes by."""

    _fields_ = [
        ("density_rate", c_float),
        ("sh_rate", c_float),
        ("beta", c_float),
        ("epsilon", c_float),
    ]


class Back(Structure):
    """What rays go back for, and what comes of it."""

    _fields_ = [
        ("rgb", c_void_p),
        ("alpha", c_void_p),
        ("by_rgb", c_void_p),
        ("by_alpha", c_void_p),
        ("rows", c_void_p),
        ("touched", c_void_p),
        ("n_pages", c_int64),
        ("n_parts", c_int32),
        ("sparsity", c_float),
    ]


class HandOver(Structure):
    """Bricks whose derivatives are asked for."""

    _fields_ = [
        ("slots", c_void_p),
        ("row_start", c_void_p),
        ("owner", c_void_p),
        ("density", c_void_p),
        ("sh", c_void_p),
        ("touched", c_void_p),
        ("n_slots", c_int32),
        ("claimed", c_int32),
    ]


class Counts(Structure):
    """What a thread counted."""

    _fields_ = [(name, c_int64) for name in COUNTERS]


ARGUMENTS: dict[str, tuple[type, ...]] = {
    "measure": (c_void_p, c_void_p),
    "copy_rows": (c_void_p, c_void_p, c_void_p, c_void_p, c_int64),
    "set_up": (POINTER(Scene), POINTER(WorldRays), POINTER(Rays), c_int32, c_int32),
    "keys": (POINTER(Scene), POINTER(WorldRays), c_int32, c_void_p),
    "meet": (POINTER(Scene), POINTER(Rays), POINTER(Meeting)),
    "take_in": (POINTER(Scene), POINTER(Pool), POINTER(Batch), POINTER(Back)),
    "derivatives": (POINTER(Scene), POINTER(Pool), POINTER(Back), POINTER(HandOver)),
    "add_derivatives": (
        POINTER(Scene),
        POINTER(Pool),
        POINTER(Back),
        POINTER(HandOver),
        c_int64,
        c_int64,
    ),
    "restart": (POINTER(Scene), POINTER(Rays), c_void_p),
    "go_back": (
        POINTER(Scene),
        POINTER(Pool),
        c_void_p,
        POINTER(Rays),
        POINTER(Back),
        c_int32,
        POINTER(Counts),
    ),
    "advance": (POINTER(Scene), POINTER(Pool), c_void_p, POINTER(Rays), POINTER(Counts)),
    "finish": (
        POINTER(Scene),
        POINTER(Rays),
        c_void_p,
        c_int32,
        c_int32,
        *(c_void_p,) * 6,
    ),
    "see_layers": (POINTER(Layers), POINTER(OutwardRays)),
    "vary_rows": (POINTER(Trained), c_int64, c_int64, c_void_p, c_float, c_float),
    "descend_rows": (POINTER(Trained), c_int64, c_int64, POINTER(Step)),
}
"""What each kernel takes; they give nothing back."""
