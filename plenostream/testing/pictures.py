"""Renderers and rays as the tests need them, through the public interface alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import plenostream as ps
from plenostream import reference
from plenostream.field.grid import GridSpec
from plenostream.testing.checkpoints import CheckpointArrays

__all__ = ["crop", "fragile_rays", "model_of", "open_renderer", "rays_around", "rays_of"]

Float64 = NDArray[np.float64]


@contextmanager
def open_renderer(
    scene: Path, *, options: Mapping[str, Any] | None = None, **stream: Any
) -> Iterator[ps.Renderer]:
    """A renderer of the scene at a path; `options` and `stream` are fields of the two records."""
    with (
        ps.open_scene(scene) as opened,
        ps.Renderer(
            opened,
            options=ps.RenderOptions(**(options or {})),
            stream=ps.StreamOptions(**stream),
        ) as renderer,
    ):
        yield renderer


def crop(camera: ps.Camera, *, left: int, top: int, width: int, height: int) -> ps.Camera:
    """The camera whose picture is that part of the other's."""
    return ps.Camera(
        c2w=camera.c2w,
        fx=camera.fx,
        fy=camera.fy,
        cx=camera.cx - left,
        cy=camera.cy - top,
        width=width,
        height=height,
    )


def rays_of(camera: ps.Camera) -> tuple[Float64, Float64]:
    """Origins and directions [height * width, 3] of a camera's rays, by the oracle."""
    return reference.camera_rays(
        camera.c2w, camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height
    )


def rays_around(seed: int, n: int, *, radius: float = 1.0) -> tuple[Float64, Float64]:
    """`n` rays from anywhere near a box of that radius at the origin, some of them from inside.

    Most are aimed at a point of the box, the others anywhere.
    """
    rng = np.random.default_rng(seed)
    origins = rng.normal(0.0, 1.3 * radius, (n, 3))
    targets = rng.uniform(-radius, radius, (n, 3))
    dirs = np.where(rng.random((n, 1)) < 0.8, targets - origins, rng.normal(0.0, 1.0, (n, 3)))
    return origins, dirs / np.linalg.norm(dirs, axis=1, keepdims=True)


def fragile_rays(
    grid: GridSpec, origins: Float64, dirs: Float64, *, step_size: float = 0.5
) -> NDArray[np.bool_]:
    """Rays [n] whose last sample lies so near to the exit that rounding decides whether it counts.

    float32 places entry and exit to about 1e-5 grid units; a ray that all but touches the box
    may miss it. The recorded cases leave such rays out in the same way.
    """
    views = dirs / np.linalg.norm(dirs, axis=1, keepdims=True) * grid.scale
    views /= np.linalg.norm(views, axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        faces = np.array([[-0.5] * 3, np.asarray(grid.size) - 0.5])[:, None, :]
        crossings = np.sort((faces - grid.world_to_grid(origins)) / views, axis=0)
    parallel = views == 0.0
    t_min = np.maximum(np.where(parallel, -np.inf, crossings[0]).max(1), 0.0)
    t_max = np.where(parallel, np.inf, crossings[1]).min(1)
    steps = (t_max - t_min) / step_size
    fragile: NDArray[np.bool_] = np.abs(steps - np.round(steps)) * step_size < 2e-5
    return fragile


def model_of(
    checkpoint: CheckpointArrays, extras: Mapping[str, NDArray[Any]] | None = None
) -> reference.ReferenceModel:
    """What the oracle renders for a checkpoint with these arrays of `testing.extras`."""
    return reference.make_model(
        checkpoint.links,
        checkpoint.density,
        checkpoint.sh,
        radius=checkpoint.radius,
        center=checkpoint.center,
        extras=extras,
    )
