"""What can be asked for, each option with its rule: the only home of types, ranges and defaults.

Options come in frozen, keyword-only records, whose fields carry their rules; those of cameras and
outputs, which are arguments of functions, stand alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from plenostream.errors import InvalidInput
from plenostream.field.grid import BRICK_SIZES
from plenostream.rules import (
    Box,
    Choice,
    Colour,
    DeviceName,
    Frames,
    Lengths,
    Memory,
    Names,
    Number,
    Point,
    Projection,
    Region,
    Size,
    Spelled,
    Steps,
    Truth,
    Whole,
    check_record,
    described,
)
from plenostream.rules.bytesize import parse_bytes

__all__ = [
    "BOX",
    "BOX_UNITS",
    "CAMERA_AXES",
    "CAMERA_FORMAT",
    "COLORMAPS",
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
    "LOOK_AT",
    "LOOK_FROM",
    "MIN_DENSITY",
    "ORBIT",
    "OUTPUTS",
    "OVERLAP",
    "PATH",
    "PATH_FRAMES",
    "POSES",
    "PRUNE_DENSITY",
    "REGION",
    "SCENE_SCALE",
    "SHIFT",
    "SHORTEST_PROJECTION",
    "SIZE",
    "Axes",
    "Backend",
    "BoxUnits",
    "Codec",
    "ConvertOptions",
    "EditOptions",
    "ExportFormat",
    "ExportOptions",
    "Model",
    "Overlap",
    "PointColours",
    "Precision",
    "RenderOptions",
    "ResampleOptions",
    "StoreDtype",
    "StreamOptions",
    "VolumeOptions",
]

Backend = Literal["auto", "native", "warp", "xla"]
Model = Literal["cuvol", "nvol"]
Precision = Literal["auto", "float16", "float32"]
StoreDtype = Literal["auto", "float16"]
Codec = Literal["zstd", "lz4"]
Axes = Literal["xyz", "zyx"]
BoxUnits = Literal["world", "voxels"]
Overlap = Literal["denser", "first", "last"]
ExportFormat = Literal["svox2", "points", "mesh", "ome-zarr"]
EXPORT_FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
PointColours = Literal["8bit", "float"]
COLORMAPS = ("coolwarm", "grey", "hot", "ice", "spectrum")
"""Named tables of colours."""

_LARGE, _SMALL = 1e30, 1e-30
"""Float32 holds these, and what they become in the units of any grid that it holds."""
LARGEST_COORDINATE = _LARGE
"""Of places in the world (world units)."""
LARGEST_EDGE = 65_536
"""Pixels along one edge of an image, at most."""
SHORTEST_PROJECTION, LARGEST_PROJECTION = 1e-6, 1e6
"""Pixels of a reference camera."""
_MOST_THREADS = 1024

# What all that pack scenes are told.
_PackingMemory = Annotated[
    int | str, Memory(help="Bound on the process's memory above what the program itself takes.")
]
_PackingThreads = Annotated[
    int | None,
    Whole(
        least=1, most=_MOST_THREADS, unit="threads", unsaid="one a core",
        help="Threads that pack and compress.",
    ),
]  # fmt: skip


@described
@dataclass(frozen=True, slots=True, kw_only=True)
class RenderOptions:
    """What the picture is (`docs/rules.md`): svox2's `RenderOptions`, with its defaults.

    Raises
    ------
    InvalidInput : a value against its rule, or two that do not go together.
    """

    background: Annotated[
        float | tuple[float, float, float],
        Colour(
            help="Colour behind everything: one number for all channels, or red, green and blue."
        ),
    ] = 1.0
    step_size: Annotated[
        float,
        Number(
            least=1e-6, most=1e6, unit="voxels",
            help="Distance between samples along a ray, in voxels.",
        ),
    ] = 0.5  # fmt: skip
    near_clip: Annotated[
        float,
        Number(
            least=0, most=_LARGE, unit="world units",
            help="Nearest distance from the eye that counts, in world units; another meaning with "
            "spheric_clip.",
        ),
    ] = 0.0  # fmt: skip
    spheric_clip: Annotated[
        bool,
        Truth(
            help="Begin and end rays at the ellipsoid inscribed in the box, as svox2 does for scenes "
            "taken all around; it also counts behind an eye inside. near_clip is then the share of "
            "the radius by which the ellipsoid where rays begin is smaller."
        ),
    ] = False
    far_cap: Annotated[
        float | None,
        Number(
            least=0, most=_LARGE, unit="grid units", unsaid="no end but the box's",
            help="End rays so many voxels from the eye; svox2's CUDA code does at 2000.",
        ),
    ] = None  # fmt: skip
    last_sample_opaque: Annotated[
        bool,
        Truth(
            help="Let the last sample of a ray, where it has any density, hide all behind: svox2's "
            "option for forward-facing scenes."
        ),
    ] = False
    model: Annotated[
        Model,
        Choice(
            choices=get_args(Model),
            help="How light is lost: cuvol multiplies what each sample lets through, nvol (svox2's "
            "comparison with Neural Volumes) adds opacities up, to 1 at most.",
        ),
    ] = "cuvol"
    ndc: Annotated[
        tuple[float, float, float, float] | str | None,
        Projection(
            least=SHORTEST_PROJECTION, most=LARGEST_PROJECTION, words=("off",),
            unsaid="what the scene says, else off",
            help="Bring rays to the normalised device coordinates of a forward-facing scene: "
            "width, height and focal lengths, in pixels, of the pictures it was trained with, whose "
            "cameras look along +z. off draws rays as they are.",
        ),
    ] = None  # fmt: skip
    sigma_thresh: Annotated[
        float,
        Number(
            least=0, most=_LARGE, unit="per world unit",
            help="Samples of this density (per world unit) or less contribute nothing.",
        ),
    ] = 1e-10  # fmt: skip
    stop_thresh: Annotated[
        float,
        Number(
            least=0, most=1,
            help="A ray ends, fully opaque, when less than this share of light is left.",
        ),
    ] = 1e-7  # fmt: skip
    samples: Annotated[
        int,
        Choice(
            choices=(1, 2, 4, 8),
            help="Rays along each edge of a pixel, N x N evenly spread; colour, alpha and depth are "
            "their means.",
        ),
    ] = 1

    def __post_init__(self) -> None:
        check_record(self)
        if self.last_sample_opaque and self.model == "nvol":
            raise InvalidInput(
                "last_sample_opaque does not go with model nvol, whose last sample is like all others; "
                "leave one of them out"
            )
        if self.spheric_clip and self.near_clip >= 1:
            raise InvalidInput(
                f"near_clip is {self.near_clip:g}; with spheric_clip it is a share of the radius, "
                "expected 0 to below 1"
            )

    @property
    def background_rgb(self) -> tuple[float, float, float]:
        """`background` as red, green and blue."""
        given = self.background
        return given if isinstance(given, tuple) else (given, given, given)


@described
@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """How the picture is made: where, in which precision, and in what memory.

    Raises
    ------
    InvalidInput : a value against its rule.
    """

    device: Annotated[
        str | None,
        DeviceName(
            platforms=("cpu", "gpu", "cuda", "rocm"), unsaid="the first that JAX prefers",
            help="Device that draws, counted from 0 where there are several.",
        ),
    ] = None  # fmt: skip
    backend: Annotated[
        Backend,
        Choice(
            choices=get_args(Backend),
            help="What draws: native on CPUs, warp on NVIDIA GPUs, xla on every device that JAX has. "
            "auto takes the first of them that is there, and says so where it is not.",
        ),
    ] = "auto"
    precision: Annotated[
        Precision,
        Choice(
            choices=get_args(Precision),
            help="Type of what is held on the device; arithmetic is float32 in any case. auto takes "
            "float16 where that is safe for the scene, else float32, and says so.",
        ),
    ] = "auto"
    device_memory: Annotated[
        int | str | None,
        Memory(
            unsaid="8GB on a CPU, 90 % of what the device grants elsewhere",
            help="Bytes allowed on the device, such as 512MB, 8GB or 1.5GiB. Kept to, or refused "
            "at once with the smallest budget that works.",
        ),
    ] = None
    host_memory: Annotated[
        int | str,
        Memory(help="Bytes allowed for decoded chunks, staging buffers and reads in flight."),
    ] = "2GB"
    n_threads: Annotated[
        int | None,
        Whole(
            least=1, most=_MOST_THREADS, unit="threads", unsaid="one a core",
            help="Threads that read and, on a CPU, integrate.",
        ),
    ] = None  # fmt: skip

    def __post_init__(self) -> None:
        check_record(self)

    @property
    def device_bytes(self) -> int | None:
        """`device_memory` in bytes, None where the device decides."""
        if self.device_memory is None:
            return None
        return parse_bytes(self.device_memory, name="device_memory")

    @property
    def host_bytes(self) -> int:
        """`host_memory` in bytes."""
        return parse_bytes(self.host_memory, name="host_memory")


@described
@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertOptions:
    """How a checkpoint becomes a scene.

    Raises
    ------
    InvalidInput : a value against its rule.
    """

    brick_size: Annotated[
        int, Choice(choices=BRICK_SIZES, help="Cells per axis of a brick.")
    ] = 16  # fmt: skip
    dtype: Annotated[
        StoreDtype,
        Choice(
            choices=get_args(StoreDtype),
            help="auto keeps the checkpoint's values exactly; float16 rounds densities and "
            "coefficients.",
        ),
    ] = "auto"
    codec: Annotated[
        Codec,
        Choice(choices=get_args(Codec), help="zstd makes smaller scenes, lz4 is read faster."),
    ] = "zstd"
    ndc: Annotated[
        tuple[float, float, float, float] | None,
        Projection(
            least=SHORTEST_PROJECTION, most=LARGEST_PROJECTION, unsaid="none: a scene of the world",
            help="Say that the scene is a forward-facing one, in normalised device coordinates: width, "
            "height and focal lengths, in pixels, of the pictures it was trained with. A checkpoint "
            "does not tell.",
        ),
    ] = None  # fmt: skip
    host_memory: _PackingMemory = "1GB"
    workers: _PackingThreads = None
    overwrite: Annotated[bool, Truth(help="Replace the scene if it exists.")] = False
    resume: Annotated[bool, Truth(help="Go on with a conversion that was cut off.")] = False

    def __post_init__(self) -> None:
        check_record(self)

    @property
    def host_bytes(self) -> int:
        """`host_memory` in bytes."""
        return parse_bytes(self.host_memory, name="host_memory")


_VALUE = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?"
_TABLE_FILE = r"[^\0]*[^/\0]\.(?:txt|csv)"


@described
@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeOptions:
    """What the scalars of a volume look like.

    Raises
    ------
    InvalidInput : a value against its rule.
    """

    opacity: Annotated[
        str | None,
        Spelled(
            pattern=rf"{_VALUE}:{_VALUE}(?:,{_VALUE}:{_VALUE})+|{_TABLE_FILE}",
            form="VALUE:OPACITY,VALUE:OPACITY,..., such as 300:0,500:0.4, or a file .txt or .csv",
            shown_as="VALUE:OPACITY,...|FILE.txt",
            unsaid="nothing, and a volume needs it",
            help="How opaque the scalars of a volume are: shares of the light that the edge of a voxel "
            "takes, 0 to 1, linear between rising values and constant beyond. A file has a value and "
            "an opacity a line; # begins a comment.",
        ),
    ] = None
    colormap: Annotated[
        str,
        Spelled(
            pattern=rf"(?:{'|'.join(COLORMAPS)})(?::{_VALUE},{_VALUE})?|{_TABLE_FILE}",
            form=f"one of {', '.join(COLORMAPS)}, with :LOW,HIGH if need be, or a file .txt or .csv",
            shown_as="NAME[:LOW,HIGH]|FILE.txt",
            help=f"Colours of a volume's scalars: {', '.join(COLORMAPS)}, from LOW to HIGH (else the "
            "first and last value of --opacity); or a file with a value, red, green and blue a line, "
            "colours from 0 to 1.",
        ),
    ] = "grey"
    voxel_size: Annotated[
        tuple[float, float, float] | None,
        Lengths(
            least=_SMALL, most=_LARGE, unsaid="cubes, the longest axis 2 world units long",
            help="World lengths of a voxel of a volume along x, y and z.",
        ),
    ] = None  # fmt: skip
    axes: Annotated[
        Axes,
        Choice(
            choices=get_args(Axes),
            help="Order of a volume's axes in its file; stacks of pictures are zyx.",
        ),
    ] = "xyz"

    def __post_init__(self) -> None:
        check_record(self)


@described
@dataclass(frozen=True, slots=True, kw_only=True)
class ResampleOptions:
    """What becomes of models whose picture no scene has exactly.

    Raises
    ------
    InvalidInput : a value against its rule.
    """

    approximate: Annotated[
        bool,
        Truth(
            help="Resample models whose picture no scene has exactly (PlenOctrees, Plenoxels in JAX), "
            "and say how far it is from theirs. Nothing changes for others."
        ),
    ] = False
    radius: Annotated[
        float | None,
        Number(
            least=_SMALL, most=_LARGE, unit="world units",
            unsaid="1.3, as they are trained: their files do not say it",
            help="Half the extent of the volume, for Plenoxels in JAX.",
        ),
    ] = None  # fmt: skip

    def __post_init__(self) -> None:
        check_record(self)


@described
@dataclass(frozen=True, slots=True, kw_only=True)
class EditOptions:
    """How a scene is made of others.

    Raises
    ------
    InvalidInput : a value against its rule.
    """

    host_memory: _PackingMemory = "1GB"
    workers: _PackingThreads = None
    overwrite: Annotated[bool, Truth(help="Replace the scene if it exists.")] = False
    resume: Annotated[bool, Truth(help="Go on with an edit that was cut off.")] = False

    def __post_init__(self) -> None:
        check_record(self)

    @property
    def host_bytes(self) -> int:
        """`host_memory` in bytes."""
        return parse_bytes(self.host_memory, name="host_memory")


@described
@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """What is written of a scene for other programs.

    Raises
    ------
    InvalidInput : a value against its rule.
    """

    format: Annotated[
        ExportFormat | None,
        Choice(
            choices=EXPORT_FORMATS,
            unsaid="by the ending of OUT: .npz svox2, .ply points, .obj and .glb mesh, .zarr ome-zarr",
            help="What to write: a svox2 checkpoint, the voxels as points, a surface, or density and "
            "colour as a volume.",
        ),
    ] = None
    min_density: Annotated[
        float | None,
        Number(
            least=0, most=_LARGE, unit="per world unit",
            unsaid="0 for points; for a mesh, where the edge of a voxel takes half of the light",
            help="Points are the voxels above this density (per world unit), a mesh is the surface "
            "where it is reached.",
        ),
    ] = None  # fmt: skip
    colours: Annotated[
        PointColours,
        Choice(choices=get_args(PointColours), help="Type of the colours of a PLY file."),
    ] = "8bit"
    normals: Annotated[
        bool, Truth(help="Give points normals: the direction in which density falls.")
    ] = False
    host_memory: Annotated[
        int | str,
        Memory(help="Bound on what exporting holds, beyond what the program itself takes."),
    ] = "1GB"
    overwrite: Annotated[bool, Truth(help="Replace OUT if it exists.")] = False

    def __post_init__(self) -> None:
        check_record(self)

    @property
    def host_bytes(self) -> int:
        """`host_memory` in bytes."""
        return parse_bytes(self.host_memory, name="host_memory")


# Cameras: arguments of `cameras.load_cameras`, `look_at_camera` and `orbit_cameras`.
FRAMES = Frames(unsaid="all", help="Which views of the file, counted from 0.")
SCENE_SCALE = Number(
    least=_SMALL,
    most=_LARGE,
    words=("auto",),
    help="What camera positions of the file are multiplied by. auto: 2/3 for files with "
    "camera_angle_x and no fl_x, as svox2 trains NeRF-synthetic scenes; 1 for all others.",
)
CAMERA_FORMAT = Choice(
    choices=("json", "colmap", "llff", "nsvf", "matrices"),
    unsaid="what the path is found to be",
    help="Format of the cameras.",
)
POSES = Choice(
    choices=("svox2", "svox2-bbox", "as-written"),
    help="svox2 moves the poses of a data set as svox2's loaders do: NSVF around its cameras, LLFF "
    "before its mean camera, NeRF-synthetic by 2/3, others not at all. svox2-bbox: NSVF by its "
    "bbox.txt. as-written: not moved.",
)
CAMERA_AXES = Choice(
    choices=("opencv-c2w", "opencv-w2c", "opengl-c2w", "opengl-w2c"),
    unsaid="matrices are refused",
    help="What plain matrices lead from and to (camera to world or world to camera), and the "
    "camera's axes (OpenCV: y down, z forward; OpenGL: y up, z backward).",
)
PATH = Choice(
    choices=("interpolate", "spiral"),
    unsaid="the views themselves",
    help="Draw a path instead of the views: interpolate leads smoothly through all that --frames "
    "names; spiral turns twice in the middle of them, as svox2's for views that look one way.",
)
PATH_FRAMES = Whole(least=1, most=1_000_000, unit="frames", help="Pictures along a path.")
ORBIT = Whole(
    least=1,
    most=1_000_000,
    unit="views",
    help="N views evenly around the scene, about the vertical axis (+z).",
)
ELEVATION = Number(
    least=-90, most=90, unit="degrees", help="Height of the orbit above the horizon, in degrees."
)
DISTANCE = Number(
    least=_SMALL,
    most=_LARGE,
    unit="world units",
    unsaid="the nearest that shows the whole box",
    help="Radius of the orbit in world units.",
)
LOOK_FROM = Point(most=LARGEST_COORDINATE, help="One view from this point (world), with +z up.")
LOOK_AT = Point(most=LARGEST_COORDINATE, help="What is in the middle of that view (world).")
FOV = Number(
    least=1e-3,
    most=179.9,
    unit="degrees",
    help="Horizontal field of view of --orbit, --look-from and plain matrices.",
)
SIZE = Size(most=LARGEST_EDGE, help="Pixels of the picture; a file's intrinsics are rescaled.")
REGION = Region(
    most=LARGEST_EDGE,
    help="Draw that part of the picture alone: left, top, width and height in pixels, after --size.",
)

# Outputs.
OUTPUTS = Names(
    choices=("rgb", "alpha", "depth"),
    help="What to write. A PNG with rgb and alpha is RGBA; depth (world units along the ray) comes "
    "as float32 values and as a coloured PNG, red near, blue far.",
)
FPS = Number(least=0.01, most=1000, unit="frames/s", help="Frames per second of an .mp4.")

# Edits: arguments of the functions of `edits`.
BOX = Box(
    most=LARGEST_COORDINATE,
    help="Two opposite corners of the box to keep, the lower one first: in world units every cell "
    "that it touches is kept, in voxels those from the first corner to before the second.",
)
BOX_UNITS = Choice(choices=get_args(BoxUnits), help="Units of --box.")
SHIFT = Steps(
    most=1 << 24,
    unit="voxels",
    help="Voxel of the first scene on which the next one's voxel 0 is laid; once for each scene but "
    "the first. Left out: scenes lie where they lie in the world.",
)
OVERLAP = Choice(
    choices=get_args(Overlap),
    help="Whose voxel is taken where several scenes store one: the denser one (of equal ones the "
    "first), or that of the first or last scene named.",
)
PRUNE_DENSITY = Number(
    least=0,
    most=_LARGE,
    unit="per world unit",
    help="Keep voxels that exceed this density (per world unit), and their neighbours.",
)
FRAME_RADIUS = Lengths(
    least=_SMALL,
    most=_LARGE,
    unsaid="as it is",
    help="Half the extent of the volume along x, y and z (world units).",
)
FRAME_CENTER = Point(
    most=LARGEST_COORDINATE, unsaid="as it is", help="Middle of the volume (world)."
)
FACTOR = Number(
    least=0.25, most=4, help="Voxels along each axis, as a multiple of those that there are."
)

# Points.
MIN_DENSITY = Number(
    least=0,
    most=_LARGE,
    unit="per world unit",
    help="Leave out voxels of this density (per world unit) or less.",
)
