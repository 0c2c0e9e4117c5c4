"""JSON files with a list of cameras, which are not trusted: each value is checked.

======================= =========================================== ============== =============
kind                    told by                                     axes           `auto` scale
======================= =========================================== ============== =============
NeRF-synthetic          `frames`, `camera_angle_x` and no `fl_x`    OpenGL         2/3
instant-ngp, nerfstudio `frames`, anything else but the next        OpenGL         1
OpenCV frames           `frames` with `fx`, as with `w2c`           OpenCV         1
nerfstudio's paths      `camera_path`                               OpenGL         1
list of views           `views`                                     OpenCV         1
======================= =========================================== ============== =============

Values of the file hold for every entry that has none of its own; null is the same as absent.
A key that is not known is refused by name (`kinds`), and so is a lens that is not read (`lens_keys`).

A pose is a matrix of 4x4 or 3x4 numbers or a list of 16 or 12, camera to world
(`transform_matrix`, `camera_to_world`, `c2w`, `pose`) or world to camera (`w2c`,
`world_to_camera`). OpenGL axes (x right, y up, z backward) become OpenCV axes by turning the second
and third column round; `convention`, a text that begins with OpenGL or OpenCV, says which where a
file has it. `applied_transform` and `applied_scale` of nerfstudio tell what was done to poses that
are written with it done, so nothing is left to do. Angles of view are in radians
(`camera_angle_x`, `camera_angle_y`) or degrees (`fovx`, `x_fov`, ...; `fov` of a path is vertical).
The scale multiplies the camera's position: svox2 trains NeRF-synthetic scenes with translations of
2/3. `scene_scale` in a file is that file's own.

The size is that of the file (`w` and `h`), else that of the entry's own picture (`file_path`), of
which only the header is opened, wherever it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plenostream.cameras.document import kind_of_value
from plenostream.cameras.entries import camera_of_entry, entry_over_document, picture_of
from plenostream.cameras.kinds import KINDS, Kind, check_keys
from plenostream.cameras.values import finite_number
from plenostream.cameras.views import Asked, CameraSet, PicturedCamera, chosen_numbers
from plenostream.errors import CameraError, shown
from plenostream.options import FPS

__all__ = ["read_frame_list"]

NERF_SYNTHETIC_SCALE = 2 / 3


def read_frame_list(path: Path, document: dict[str, Any], asked: Asked) -> CameraSet:
    """The views of a document that was read from `path`.

    Raises
    ------
    CameraError : not of a known kind, a key that is not known, a lens that is not read, a matrix or
        number that cannot be; names file and frame.
    InvalidInput : views that the file does not have.
    """
    kind, entries = _entries(document, path)
    asked.require_only_matrices_say("a JSON file")
    document = _without_nulls(document)
    numbers = chosen_numbers(asked.views, len(entries), path)
    try:
        check_keys(kind, document, of_entry=False)
        is_opencv = _is_opencv(kind, document, entries)
        synthetic = _is_nerf_synthetic(document, entries)
        scale = asked.scale
        if scale is None:
            as_trained = synthetic and asked.poses != "as-written"
            scale = _own_scale(document, NERF_SYNTHETIC_SCALE if as_trained else 1.0)
        is_path = kind.entries == "camera_path"
        fps = _fps(document) if is_path else None
    except CameraError as error:
        raise CameraError(f"{path}: {error}") from error
    views = []
    for number in numbers:
        entry = _without_nulls(entries[number])
        try:
            check_keys(kind, entry, of_entry=True)
            camera = camera_of_entry(
                entry_over_document(document, entry),
                kind,
                is_opencv=is_opencv,
                scale=scale,
                folder=path.parent,
                size=asked.size,
            )
        except CameraError as error:
            name = entry.get("file_path")
            name = f" ({shown(name)})" if isinstance(name, str) else ""
            raise CameraError(f"{path}: frame {number}{name}: {error}") from error
        named = entry.get("file_path")
        named = named if isinstance(named, str) else ""
        picture = picture_of(path.parent, named) if named else None
        views.append(PicturedCamera(number=number, camera=camera, picture=picture, name=named))
    title = kind.title if not synthetic else "NeRF-synthetic transforms"
    return CameraSet(found=title, views=views, is_path=is_path, fps=fps)


def _entries(document: dict[str, Any], path: Path) -> tuple[Kind, list[dict[str, Any]]]:
    """Which kind the file is, by the list that it has, and the list; it is taken out."""
    kinds = [kind for kind in KINDS if document.get(kind.entries) is not None]
    if len(kinds) != 1:
        names = " and ".join(f"`{kind.entries}`" for kind in kinds)
        raise CameraError(
            f"the camera file {path} has {names}: which of them counts?"
            if kinds
            else f"the camera file {path} has neither `frames` (NeRF-synthetic, instant-ngp, "
            "nerfstudio) nor `camera_path` (nerfstudio), `path` (instant-ngp), `views`, nor a "
            "`class_name` of Open3D"
        )
    (kind,) = kinds
    entries = document.pop(kind.entries)
    if not isinstance(entries, list) or not entries:
        raise CameraError(
            f"the camera file {path}: `{kind.entries}` is not a list of at least one camera"
        )
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise CameraError(
                f"{path}: frame {number} is no JSON object, but a {kind_of_value(entry)}"
            )
    return kind, entries


def _without_nulls(values: Mapping[str, Any]) -> dict[str, Any]:
    """A null is the same as absent."""
    return {key: value for key, value in values.items() if value is not None}


def _anywhere(key: str, document: Mapping[str, Any], entries: list[dict[str, Any]]) -> bool:
    return key in document or any(entry.get(key) is not None for entry in entries)


def _is_opencv(kind: Kind, document: Mapping[str, Any], entries: list[dict[str, Any]]) -> bool:
    """Axes of the file's poses, by what it says itself or else by its kind."""
    said = document.get("convention")
    if said is None:
        return kind.is_opencv or (kind.entries == "frames" and _anywhere("fx", document, entries))
    for name in ("opencv", "opengl"):
        if isinstance(said, str) and said.lower().startswith(name):
            return name == "opencv"
    raise CameraError(f"`convention` is {shown(said)}; expected text that begins OpenCV or OpenGL")


def _own_scale(document: Mapping[str, Any], unsaid: float) -> float:
    if "scene_scale" not in document:
        return unsaid
    scale = finite_number(document["scene_scale"])
    if scale is None or scale <= 0:
        raise CameraError(
            f"`scene_scale` is {shown(document['scene_scale'])}; expected a number above zero"
        )
    return scale


def _fps(document: Mapping[str, Any]) -> float | None:
    if "fps" not in document:
        return None
    fps = finite_number(document["fps"])
    if fps is None or not FPS.least <= fps <= FPS.most:
        raise CameraError(f"`fps` is {shown(document['fps'])}; expected {FPS.expected}")
    return fps


def _is_nerf_synthetic(document: Mapping[str, Any], entries: list[dict[str, Any]]) -> bool:
    has_angle = _anywhere("camera_angle_x", document, entries)
    return has_angle and not any(_anywhere(key, document, entries) for key in ("fl_x", "fx"))
