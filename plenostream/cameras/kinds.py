"""The kinds of camera files, and every key that is known of each.

A key that is in none of the lists is refused by name. A list of harmful keys would have to be
complete to be of use: the key of a lens that nobody has thought of would draw it as a pinhole
without a word. Of a list of harmless ones the worst gap is an error that says what to remove.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plenostream.cameras.lens_keys import LENS_KEYS
from plenostream.errors import CameraError, shown

__all__ = ["FOCAL_KEYS", "KINDS", "POSE_KEYS", "SIZE_KEYS", "Kind", "check_keys"]

FOCAL_KEYS = {
    "x": (("fl_x", "fx"), "camera_angle_x", ("fovx", "x_fov")),
    "y": (("fl_y", "fy"), "camera_angle_y", ("fovy", "y_fov", "fov")),
}
"""Spellings of the focal length along an axis: in pixels; as angle of view in radians, in degrees.
`fov` is understood in camera paths alone, where it is the vertical one."""

SIZE_KEYS = {"width": ("w", "width", "render_width"), "height": ("h", "height", "render_height")}

POSE_KEYS = {
    "transform_matrix": False,
    "camera_to_world": False,
    "c2w": False,
    "pose": False,
    "w2c": True,
    "world_to_camera": True,
}
"""Spellings of the pose; whether they lead from the world to the camera."""

_INTRINSICS = {
    *("fl_x", "fl_y", "fx", "fy", "cx", "cy", "w", "h", "width", "height"),
    *("camera_angle_x", "camera_angle_y", "fovx", "fovy", "x_fov", "y_fov"),
}
_HARMLESS = frozenset(
    {
        # Where a trainer puts the scene, in coordinates of its own (instant-ngp, Neuralangelo).
        *("aabb", "aabb_range", "aabb_scale", "render_aabb", "scale", "offset", "up", "from_na"),
        *("sphere_center", "sphere_radius", "near", "far"),
        # What was done to the poses, which are written with it done (nerfstudio).
        *("applied_transform", "applied_scale", "orientation_override"),
        # What else a trainer is told.
        *("n_extra_learnable_dims", "importance_sampling", "sharpen", "fix_premult", "n_frames"),
        *("white_transparent", "black_transparent", "envmap", "driver_parameters"),
        *("sharpness", "sharpness_discard_threshold", "blur_score"),
        *("train_filenames", "val_filenames", "test_filenames", "split"),
        # Other pictures and files.
        *("file_path", "image_path", "img_name", "image_name", "mask_path", "ply_file_path"),
        *("enable_depth_loading", "integer_depth_scale", "depth_path", "depth_file_path"),
        *("depth_unit_scale_factor", "normal_file_path", "segmentation_path", "semantics_path"),
        # Which picture it is, when and how bright it was taken.
        *("id", "image_id", "frame_id", "camera_id", "cam_id", "colmap_im_id", "camera_index"),
        *("frame_index", "timestep", "timestep_index", "time", "timestamp", "rotation"),
        *("exposure", "exposure_time", "shutter_speed", "iso", "white_level", "black_level"),
        *("white_balance", "latitude", "longitude", "altitude"),
        # Words.
        *("name", "scene", "comment", "_comment", "description", "info", "version", "date"),
        *("author", "license", "source", "generator"),
    }
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of camera file."""

    entries: str
    """Key of the list of cameras."""
    title: str
    """What such a file is called."""
    understood: frozenset[str]
    """Keys about size, focal length and pose."""
    harmless: frozenset[str]
    """Keys that say nothing about how a picture is drawn."""
    required: tuple[str, ...] = ()
    """Keys without which there is no camera."""
    is_opencv: bool = False
    """Axes of its poses: OpenCV's, else OpenGL's."""


KINDS = (
    Kind(
        "frames",
        "instant-ngp or nerfstudio transforms",
        frozenset({*_INTRINSICS, *POSE_KEYS}),
        _HARMLESS,
    ),
    Kind(
        "camera_path",
        "nerfstudio camera path",
        frozenset({*_INTRINSICS, *POSE_KEYS, "fov", "render_width", "render_height"}),
        _HARMLESS
        | {
            # `aspect` is 1 in every path that the Blender add-on writes, whatever the picture's
            # shape; nerfstudio reads the shape from render_width and render_height alone.
            *("aspect", "keyframes", "fps", "seconds", "smoothness_value", "is_cycle", "crop"),
            *("render_time", "default_fov", "default_time", "default_transition_sec"),
        },
    ),
    Kind(
        "views",
        "list of views",
        frozenset({*POSE_KEYS, "fx", "fy", "cx", "cy", "width", "height"}),
        _HARMLESS,
        required=("fx", "fy", "cx", "cy", "width", "height"),
        is_opencv=True,
    ),
)

_OF_THE_FILE = {"convention", "scene_scale"}
"""Understood, and only once a file."""


def check_keys(kind: Kind, values: Mapping[str, Any], *, of_entry: bool) -> None:
    """Refuse keys of a document (without its list), or of one entry, that are not known.

    Raises
    ------
    CameraError : names the key.
    """
    known = kind.understood | kind.harmless | LENS_KEYS
    known = known if of_entry else (known - set(POSE_KEYS)) | _OF_THE_FILE
    for key in values:
        if key not in known:
            raise CameraError(
                f"the key {shown(key)} = {shown(values[key])} is not understood, and it may say that "
                "the lens is another or that it stands elsewhere. Remove it if it says neither"
            )
