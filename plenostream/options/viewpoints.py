"""Which views: arguments of `cameras.load_cameras`, `look_at_camera` and `orbit_cameras`."""

from __future__ import annotations

from plenostream.options.limits import LARGE, LARGEST_COORDINATE, LARGEST_EDGE, SMALL
from plenostream.rules import Choice, Number, Point, Region, Size, Spelled, ViewNumbers, Whole

__all__ = [
    "CAMERA_AXES",
    "CAMERA_FORMAT",
    "DISTANCE",
    "ELEVATION",
    "FOV",
    "FRAMES",
    "LOOK_AT",
    "LOOK_FROM",
    "ORBIT",
    "PATH",
    "POSES",
    "REGION",
    "SCENE_SCALE",
    "SIZE",
    "UP",
    "VIEWS",
]

VIEWS = ViewNumbers(unsaid="all", help="Which views of the file, counted from 0.")
SCENE_SCALE = Number(
    least=SMALL,
    most=LARGE,
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
PATH = Spelled(
    pattern=r"interpolate|spiral|.+\.(?i:json|txt|npy)",
    form="interpolate, spiral, or a file of cameras (.json, .txt, .npy)",
    shown_as="interpolate|spiral|FILE",
    unsaid="the views themselves",
    help="Draw a path: interpolate leads smoothly through all that --views names; spiral turns twice "
    "in the middle of them, as svox2's for views that look one way; FILE is a camera path of "
    "nerfstudio, instant-ngp or Open3D, or views to lead through, and stands for --cameras.",
)
FRAMES = Whole(least=1, most=1_000_000, unit="frames", help="Pictures along the path.")
ORBIT = Whole(
    least=1,
    most=1_000_000,
    unit="views",
    help="N views evenly around the scene, about the vertical axis (--up).",
)
ELEVATION = Number(
    least=-90, most=90, unit="degrees", help="Height of the orbit above the horizon, in degrees."
)
DISTANCE = Number(
    least=SMALL,
    most=LARGE,
    unit="world units",
    unsaid="the nearest that shows the whole box",
    help="Radius of the orbit in world units.",
)
LOOK_FROM = Point(most=LARGEST_COORDINATE, help="One view from this point (world), upright.")
LOOK_AT = Point(most=LARGEST_COORDINATE, help="What is in the middle of that view (world).")
UP = Choice(
    choices=("x", "y", "z", "-x", "-y", "-z"),
    help="Axis of the world that points up in views of --orbit and --look-from: z in NeRF-synthetic "
    "scenes, -y in those of NSVF and LLFF data.",
)
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
