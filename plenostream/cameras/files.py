"""Cameras read from JSON files, which come from strangers and are checked number by number.

====================== ============================================= ============ ==================
kind                   told by                                       axes         `auto` scale
====================== ============================================= ============ ==================
NeRF-synthetic         `frames`, `camera_angle_x` and no `fl_x`      OpenGL       2/3
instant-ngp, nerfstudio `frames`, `fl_x` (also frame by frame)       OpenGL       1
list of views          `views` with `c2w`, `fx`, ... `height`        OpenCV       1
====================== ============================================= ============ ==================

OpenGL axes (x right, y up, z backward) become OpenCV axes by turning the second and third column
of the matrix round. The scale multiplies the camera's position: svox2 trains NeRF-synthetic scenes
with translations of 2/3.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from plenostream.cameras.entries import camera_of_frame, camera_of_view
from plenostream.cameras.image_size import read_image_size
from plenostream.cameras.pinhole import Camera
from plenostream.errors import CameraError, InvalidInput
from plenostream.options import FRAMES, SCENE_SCALE, SIZE

__all__ = ["load_cameras"]

NERF_SYNTHETIC_SCALE = 2 / 3
LARGEST_FILE = 256_000_000
"""Bytes of a camera file, at most: some 100,000 frames."""


def load_cameras(
    path: str | Path,
    *,
    frames: str | Sequence[int] | None = None,
    size: tuple[int, int] | None = None,
    scene_scale: float | Literal["auto"] = "auto",
) -> list[Camera]:
    """The cameras of a JSON file, in the file's order or in that of `frames`.

    Parameters
    ----------
    path : the file; kinds as in the head of this module
    frames : which of them, counted from 0: numbers, or text such as "0,3,8-12"; None: all
    size : width and height in pixels that the views are rescaled to; None: what the file says,
        else that of the pictures it names, else (NeRF-synthetic only) 800x800
    scene_scale : what positions are multiplied by; "auto": 2/3 for files with `camera_angle_x`
        and no `fl_x`, 1 for all others

    Raises
    ------
    CameraError : no such file, not of a known kind, a lens that is no pinhole, a matrix or number
        that cannot be; names file and frame.
    InvalidInput : frames that the file does not have, a size or scale that means nothing.
    """
    path = Path(path)
    scene_scale = SCENE_SCALE.check("scene_scale", scene_scale)
    FRAMES.check("frames", frames)
    if size is not None:
        size = SIZE.check("size", size)
    document = _read_json(path)
    kind, entries = _entries(document, path)
    scale = scene_scale
    if scale == "auto":
        scale = NERF_SYNTHETIC_SCALE if _is_nerf_synthetic(document, entries) else 1.0
    numbers = _chosen(frames, len(entries), path)
    fallback_size = None
    if kind == "frames" and any("w" not in {**document, **entries[i]} for i in numbers):
        fallback_size = _size_of_pictures(entries, path.parent)
    cameras = []
    for number in numbers:
        entry = entries[number]
        try:
            if kind == "views":
                camera = camera_of_view(entry, scale)
            else:
                camera = camera_of_frame({**document, **entry}, scale, fallback_size)
            cameras.append(camera if size is None else camera.resized(*size))
        except CameraError as error:
            name = entry.get("file_path")
            name = f" ({name[:100]!r})" if isinstance(name, str) else ""
            raise CameraError(f"{path}: frame {number}{name}: {error}") from error
    return cameras


def _chosen(frames: str | Sequence[int] | None, n_frames: int, path: Path) -> Sequence[int]:
    if frames is None:
        return range(n_frames)
    runs: list[range] = FRAMES.check("frames", frames)
    for run in runs:
        if run.stop > n_frames:
            raise InvalidInput(
                f"frame {max(run.start, n_frames)} was asked for; {path} has {n_frames} "
                f"(0 to {n_frames - 1})"
            )
    return [number for run in runs for number in run]


def _read_json(path: Path) -> dict[str, Any]:
    """The document, an object."""
    try:
        # Only plain files: a pipe or device would block, or never end.
        if not path.is_file():
            missing = "is not a file" if path.exists() else "is not there"
            raise CameraError(f"the camera file {path} {missing}")
        n_bytes = path.stat().st_size
        if n_bytes > LARGEST_FILE:
            raise CameraError(
                f"the camera file {path} has {n_bytes} bytes; at most {LARGEST_FILE} are read"
            )
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise CameraError(f"the camera file {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise CameraError(f"the camera file {path} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise CameraError(f"the camera file {path} holds no JSON object, but a {_kind(document)}")
    return document


def _entries(document: dict[str, Any], path: Path) -> tuple[str, list[dict[str, Any]]]:
    """Which of the two lists the file has, and its entries."""
    kind = next((key for key in ("frames", "views") if key in document), None)
    if kind is None:
        raise CameraError(
            f"the camera file {path} has neither `frames` (NeRF-synthetic, instant-ngp, "
            "nerfstudio) nor `views`"
        )
    entries = document.pop(kind)
    if not isinstance(entries, list) or not entries:
        raise CameraError(f"the camera file {path}: `{kind}` is not a list of at least one camera")
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise CameraError(f"{path}: frame {number} is no JSON object, but a {_kind(entry)}")
    return kind, entries


def _is_nerf_synthetic(document: Mapping[str, Any], entries: list[dict[str, Any]]) -> bool:
    has_angle = "camera_angle_x" in document or any("camera_angle_x" in e for e in entries)
    return has_angle and "fl_x" not in document and not any("fl_x" in e for e in entries)


def _size_of_pictures(entries: list[dict[str, Any]], folder: Path) -> tuple[int, int] | None:
    """Width and height of the first picture that is there, of all the file names."""
    for entry in entries:
        name = entry.get("file_path")
        if not isinstance(name, str) or not name or "\0" in name:
            continue
        # NeRF-synthetic files leave the ending out.
        for candidate in (name, f"{name}.png"):
            size = read_image_size(folder / candidate)
            if size is not None:
                return size
    return None


def _kind(value: object) -> str:
    return {list: "list", str: "text", bool: "truth value", type(None): "null"}.get(
        type(value), "number"
    )
