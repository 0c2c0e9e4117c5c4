"""What can be asked for, each option with its rule: the only home of types, ranges and defaults.

Options come in frozen, keyword-only records, whose fields carry their rules; those of cameras,
outputs and edits, which are arguments of functions, stand alone.
"""

from __future__ import annotations

from plenostream.options.clusters import ClusterOptions
from plenostream.options.converting import Codec, ConvertOptions, ResampleOptions, StoreDtype
from plenostream.options.editing import (
    BOX,
    BOX_UNITS,
    FACTOR,
    FRAME_CENTER,
    FRAME_RADIUS,
    NEW_GRID,
    OVERLAP,
    PRUNE_DENSITY,
    PRUNE_WEIGHT,
    SHIFT,
    BoxUnits,
    EditOptions,
    Overlap,
)
from plenostream.options.exporting import (
    EXPORT_FORMATS,
    MIN_DENSITY,
    ExportFormat,
    ExportOptions,
    PointColours,
)
from plenostream.options.inspecting import PIXEL
from plenostream.options.limits import (
    LARGEST_COORDINATE,
    LARGEST_EDGE,
    LARGEST_PROJECTION,
    SHORTEST_PROJECTION,
)
from plenostream.options.opening import CACHE_SIZE
from plenostream.options.packing import LEVELS, PACKING_SCHEDULER
from plenostream.options.picture_files import (
    DEPTH_COLORMAPS,
    FileOptions,
    PictureFormat,
    VideoCodec,
)
from plenostream.options.pictures import FPS, LPIPS, OUTPUTS
from plenostream.options.rendering import Model, RenderOptions
from plenostream.options.streaming import Backend, Precision, StreamOptions
from plenostream.options.training import ExposureKind, Optimiser, TrainOptions
from plenostream.options.viewing import ViewOptions
from plenostream.options.viewpoints import (
    CAMERA_AXES,
    CAMERA_FORMAT,
    DISTANCE,
    ELEVATION,
    FOV,
    FRAMES,
    LOOK_AT,
    LOOK_FROM,
    ORBIT,
    PATH,
    POSES,
    REGION,
    SCENE_SCALE,
    SIZE,
    UP,
    VIEWS,
)
from plenostream.options.volumes import COLORMAPS, Axes, VolumeOptions

__all__ = [
    "BOX",
    "BOX_UNITS",
    "CACHE_SIZE",
    "CAMERA_AXES",
    "CAMERA_FORMAT",
    "COLORMAPS",
    "DEPTH_COLORMAPS",
    "DISTANCE",
    "ELEVATION",
    "EXPORT_FORMATS",
    "FACTOR",
    "FOV",
    "FPS",
    "FRAMES",
    "FRAME_CENTER",
    "FRAME_RADIUS",
    "LARGEST_COORDINATE",
    "LARGEST_EDGE",
    "LARGEST_PROJECTION",
    "LEVELS",
    "LOOK_AT",
    "LOOK_FROM",
    "LPIPS",
    "MIN_DENSITY",
    "NEW_GRID",
    "ORBIT",
    "OUTPUTS",
    "OVERLAP",
    "PACKING_SCHEDULER",
    "PATH",
    "PIXEL",
    "POSES",
    "PRUNE_DENSITY",
    "PRUNE_WEIGHT",
    "REGION",
    "SCENE_SCALE",
    "SHIFT",
    "SHORTEST_PROJECTION",
    "SIZE",
    "UP",
    "VIEWS",
    "Axes",
    "Backend",
    "BoxUnits",
    "ClusterOptions",
    "Codec",
    "ConvertOptions",
    "EditOptions",
    "ExportFormat",
    "ExportOptions",
    "ExposureKind",
    "FileOptions",
    "Model",
    "Optimiser",
    "Overlap",
    "PictureFormat",
    "PointColours",
    "Precision",
    "RenderOptions",
    "ResampleOptions",
    "StoreDtype",
    "StreamOptions",
    "TrainOptions",
    "VideoCodec",
    "ViewOptions",
    "VolumeOptions",
]
