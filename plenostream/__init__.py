"""plenostream: renders Plenoxels (svox2) scenes of any size, exactly, in a named memory budget.

>>> import plenostream as ps
>>> ps.convert("model.npz", "scene.zarr")                                  # doctest: +SKIP
>>> with ps.open_scene("scene.zarr") as scene, ps.Renderer(scene) as renderer:  # doctest: +SKIP
...     image = renderer.render(camera)

Names are imported when they are first used, so that ``import plenostream`` is quick and leaves
jax, cv2, open3d and dask alone.
"""

from __future__ import annotations

from plenostream.version import __version__

# As in `typing`, which takes 16 ms to load: type checkers know the name.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from plenostream.api import Scene, convert, open_scene
    from plenostream.budget import RenderPlan
    from plenostream.cameras import Camera, load_cameras, look_at_camera, orbit_cameras
    from plenostream.conversion import ConvertReport
    from plenostream.environment import prepare_jax
    from plenostream.errors import (
        BrickCorrupt,
        BudgetError,
        CameraError,
        CheckpointError,
        DeviceError,
        InternalError,
        InvalidInput,
        OutputError,
        PlenostreamError,
        StoreError,
        StoreExists,
        StoreFormat,
        StoreNotFound,
    )
    from plenostream.grid import GridSpec
    from plenostream.options import ConvertOptions, RenderOptions, StreamOptions
    from plenostream.render import RayResult, Renderer, RenderResult
    from plenostream.stats import FrameStats
    from plenostream.verification import scene_info, verify

_HOMES = {
    "api": ("Scene", "convert", "open_scene"),
    "budget": ("RenderPlan",),
    "cameras": ("Camera", "load_cameras", "look_at_camera", "orbit_cameras"),
    "conversion": ("ConvertReport",),
    "environment": ("prepare_jax",),
    "errors": (
        "BrickCorrupt",
        "BudgetError",
        "CameraError",
        "CheckpointError",
        "DeviceError",
        "InternalError",
        "InvalidInput",
        "OutputError",
        "PlenostreamError",
        "StoreError",
        "StoreExists",
        "StoreFormat",
        "StoreNotFound",
    ),
    "grid": ("GridSpec",),
    "options": ("ConvertOptions", "RenderOptions", "StreamOptions"),
    "render": ("RayResult", "RenderResult", "Renderer"),
    "stats": ("FrameStats",),
    "verification": ("scene_info", "verify"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "BrickCorrupt",
    "BudgetError",
    "Camera",
    "CameraError",
    "CheckpointError",
    "ConvertOptions",
    "ConvertReport",
    "DeviceError",
    "FrameStats",
    "GridSpec",
    "InternalError",
    "InvalidInput",
    "OutputError",
    "PlenostreamError",
    "RayResult",
    "RenderOptions",
    "RenderPlan",
    "RenderResult",
    "Renderer",
    "Scene",
    "StoreError",
    "StoreExists",
    "StoreFormat",
    "StoreNotFound",
    "StreamOptions",
    "__version__",
    "convert",
    "load_cameras",
    "look_at_camera",
    "open_scene",
    "orbit_cameras",
    "prepare_jax",
    "scene_info",
    "verify",
]


def __getattr__(name: str) -> object:
    import importlib

    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
