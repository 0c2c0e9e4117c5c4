"""plenostream: renders Plenoxels (svox2) scenes of any size, exactly, in a named memory budget.

>>> import plenostream as ps
>>> ps.convert("model.npz", "scene.zarr", ps.ConvertOptions(codec="lz4"))     # doctest: +SKIP
>>> with ps.open_scene("scene.zarr") as scene, ps.Renderer(scene) as renderer:  # doctest: +SKIP
...     image = renderer.render(camera)

Names are imported when they are first used, so that ``import plenostream`` is quick and leaves
jax, cv2 and dask alone.
"""

from __future__ import annotations

__version__ = "0.1.0"
"""The build reads it from here."""

# As in `typing`, which takes 16 ms to load: type checkers know the name.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from plenostream.cameras import Camera, load_cameras, look_at_camera, orbit_cameras
    from plenostream.cluster.choosing import open_cluster_renderer
    from plenostream.cluster.opening import open_client
    from plenostream.cluster.renderer import ClusterRenderer
    from plenostream.cluster.subvolume_renderer import SubvolumeRenderer
    from plenostream.errors import (
        AddressError,
        BrickCorrupt,
        BudgetError,
        CameraError,
        CheckpointError,
        ClusterError,
        DeviceError,
        InternalError,
        InvalidInput,
        OutputError,
        PlenostreamError,
        RenderCancelled,
        StoreError,
        StoreExists,
        StoreFormat,
        StoreNotFound,
    )
    from plenostream.export.scene import export_scene
    from plenostream.export.stills import write_picture
    from plenostream.field.grid import GridSpec
    from plenostream.format.info import scene_info
    from plenostream.format.verify import verify
    from plenostream.importers.arrays.volume import convert_volume
    from plenostream.importers.arrays.write import write_scene
    from plenostream.importers.packing.report import ConvertReport
    from plenostream.importers.resampled.convert import convert_foreign
    from plenostream.importers.svox2.checkpoint import Checkpoint, open_checkpoint
    from plenostream.importers.svox2.convert import convert
    from plenostream.integrator.xla.environment import prepare_jax
    from plenostream.options import (
        ClusterOptions,
        ConvertOptions,
        EditOptions,
        ExportOptions,
        FileOptions,
        RenderOptions,
        ResampleOptions,
        StreamOptions,
        VolumeOptions,
    )
    from plenostream.plan.budget import RenderPlan
    from plenostream.renderer import Renderer
    from plenostream.results import FrameStats, PoolUse, RayResult, RenderResult
    from plenostream.scene import Scene, open_scene

_HOMES = {
    "scene": ("Scene", "keep_read", "open_scene"),
    "plan.budget": ("RenderPlan",),
    "cluster.choosing": ("open_cluster_renderer",),
    "cluster.opening": ("open_client",),
    "cluster.renderer": ("ClusterRenderer",),
    "cluster.subvolume_renderer": ("SubvolumeRenderer",),
    "cameras": ("Camera", "load_cameras", "look_at_camera", "orbit_cameras"),
    "importers.arrays.volume": ("convert_volume",),
    "importers.arrays.write": ("write_scene",),
    "importers.svox2.checkpoint": ("Checkpoint", "open_checkpoint"),
    "importers.svox2.convert": ("convert",),
    "importers.resampled.convert": ("convert_foreign",),
    "importers.packing.report": ("ConvertReport",),
    "integrator.xla.environment": ("prepare_jax",),
    "errors": (
        "AddressError",
        "BrickCorrupt",
        "BudgetError",
        "CameraError",
        "CheckpointError",
        "ClusterError",
        "DeviceError",
        "InternalError",
        "InvalidInput",
        "OutputError",
        "PlenostreamError",
        "RenderCancelled",
        "StoreError",
        "StoreExists",
        "StoreFormat",
        "StoreNotFound",
    ),
    "export.scene": ("export_scene",),
    "export.stills": ("write_picture",),
    "field.grid": ("GridSpec",),
    "options": (
        "ClusterOptions",
        "ConvertOptions",
        "EditOptions",
        "ExportOptions",
        "FileOptions",
        "RenderOptions",
        "ResampleOptions",
        "StreamOptions",
        "VolumeOptions",
    ),
    "renderer": ("Renderer",),
    "results": ("FrameStats", "PoolUse", "RayResult", "RenderResult"),
    "format.info": ("scene_info",),
    "format.verify": ("verify",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AddressError",
    "BrickCorrupt",
    "BudgetError",
    "Camera",
    "CameraError",
    "Checkpoint",
    "CheckpointError",
    "ClusterError",
    "ClusterOptions",
    "ClusterRenderer",
    "ConvertOptions",
    "ConvertReport",
    "DeviceError",
    "EditOptions",
    "ExportOptions",
    "FileOptions",
    "FrameStats",
    "GridSpec",
    "InternalError",
    "InvalidInput",
    "OutputError",
    "PlenostreamError",
    "PoolUse",
    "RayResult",
    "RenderCancelled",
    "RenderOptions",
    "RenderPlan",
    "RenderResult",
    "Renderer",
    "ResampleOptions",
    "Scene",
    "StoreError",
    "StoreExists",
    "StoreFormat",
    "StoreNotFound",
    "StreamOptions",
    "SubvolumeRenderer",
    "VolumeOptions",
    "__version__",
    "convert",
    "convert_foreign",
    "convert_volume",
    "export_scene",
    "keep_read",
    "load_cameras",
    "look_at_camera",
    "open_checkpoint",
    "open_client",
    "open_cluster_renderer",
    "open_scene",
    "orbit_cameras",
    "prepare_jax",
    "scene_info",
    "verify",
    "write_picture",
    "write_scene",
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
