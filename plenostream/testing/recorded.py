"""The recorded svox2 cases: their names, what is asked, and what svox2 answered."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "EXTRAS",
    "MAIN_JOB",
    "OPTIONS",
    "PARALLEL_OUTSIDE",
    "TRAINED",
    "RecordedCase",
    "largest_difference",
    "load_case",
]

TRAINED = "30_still_128"
"""The case whose scene was trained on photographs."""
PARALLEL_OUTSIDE = "25_parallel_outside"
"""Rays outside the box on an axis on which they do not move: they see its clamped border."""
MAIN_JOB = (
    "01_random_16",
    "02_noncubic",
    "03_sh1",
    "04_sh4",
    "05_far_camera",
    "06_inside",
    "07_single_voxel",
    "07_single_voxel_corner",
    "08_two_voxels_an_axis",
    "09_all_empty",
    "11_dense_opaque",
    "12_negative_density",
    "13_black_background",
    "14_near_clip",
    "15_step_025",
    "15_step_100",
    "16_grazing",
    "16_grazing_border",
    "17_accelerated_links",
    "18_old_dialect",
    "19_float32_sh",
    "20_permuted_rows",
    "21_sh16",
    "22_sh25",
    "23_unused_rows",
    "26_camera",
    "27_huge_density",
    TRAINED,
)
"""Cases that the renderer is held to, by name: known before the folder is looked for, so that
the tests of a checkout without it are counted as skipped."""

EXTRAS = (
    "51_msi",
    "51_msi_sparse",
    "55_texture_basis",
    "55_texture_basis_negative",
    "56_mlp_basis",
    "56_mlp_basis_posenc",
)
"""Cases of background layers and learned bases, which the renderer is held to as well."""

OPTIONS = (
    "50_far_cap",
    "52_ndc",
    "53_last_opaque",
    "53_ndc_last_opaque",
    "54_spheric_clip",
    "54_spheric_clip_near",
    "57_nvol",
)
"""Cases of options beyond those of `MAIN_JOB`."""

_OUR_NAMES = {
    "background_brightness": "background",
    "use_spheric_clip": "spheric_clip",
    "backend": "model",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordedCase:
    """One recorded case; n rays, those of cameras view by view and row by row."""

    name: str
    """Name of its folder."""
    checkpoint: Path
    """The svox2 checkpoint."""
    options: dict[str, Any]
    """Fields of `RenderOptions` that differ from svox2's defaults."""
    origins: NDArray[np.float32] | None
    """Ray origins [n, 3] (world), None where there are cameras only."""
    dirs: NDArray[np.float32] | None
    """Unit ray directions [n, 3] (world)."""
    views: tuple[dict[str, Any], ...]
    """Cameras: c2w (OpenCV axes), fx, fy, cx, cy, width, height."""
    rgb: NDArray[np.float32]
    """Colour by svox2 [n, 3]."""
    rgb_cap: NDArray[np.float32] | None
    """The same where rays end at t = 2000, as in svox2's CUDA kernel; None for most cases."""
    trans: NDArray[np.float32]
    """Transmittance [n]."""
    depth: NDArray[np.float32]
    """Expected depth [n] (world units)."""
    fragile: NDArray[np.bool_]
    """Rays [n] whose result turns on rounding."""
    tolerance: dict[str, float]
    """What a float32 renderer may differ by: rgb, transmittance, depth."""


def load_case(shared: Path, name: str) -> RecordedCase:
    """The case `name` under the folder `shared`."""
    folder = shared / "reference" / name
    case = json.loads((folder / "case.json").read_text())
    origins = dirs = None
    views: tuple[dict[str, Any], ...] = ()
    if (folder / "rays.npz").is_file():
        with np.load(folder / "rays.npz") as rays:
            origins, dirs = rays["origins"], rays["dirs"]
    if (folder / "cameras.json").is_file():
        keys = ("c2w", "fx", "fy", "cx", "cy", "width", "height")
        listed = json.loads((folder / "cameras.json").read_text())["views"]
        views = tuple({key: view[key] for key in keys} for view in listed)
    with np.load(folder / "expected.npz") as expected:
        return RecordedCase(
            name=name,
            checkpoint=(folder / case.get("scene", "scene.npz")).resolve(),
            options={_OUR_NAMES.get(key, key): value for key, value in case["options"].items()},
            origins=origins,
            dirs=dirs,
            views=views,
            rgb=expected["rgb"],
            rgb_cap=expected["rgb_cap"] if "rgb_cap" in expected.files else None,
            trans=expected["transmittance"],
            depth=expected["depth"],
            fragile=expected["fragile"],
            tolerance=case["tolerance"],
        )


def largest_difference(
    value: ArrayLike, expected: ArrayLike, *, fragile: NDArray[np.bool_] | None = None
) -> float:
    """Largest |value - expected| over the rays [n] or [n, 3] that are not `fragile`.

    A NaN in `value` counts as infinitely far off.
    """
    wanted = np.asarray(expected, np.float64)
    difference = np.abs(np.asarray(value, np.float64).reshape(wanted.shape) - wanted)
    difference = np.where(np.isnan(difference), np.inf, difference)
    if fragile is not None:
        difference = difference[~fragile]
    return float(difference.max(initial=0.0))
