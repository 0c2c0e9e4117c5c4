"""A sketch as a picture: projected by a camera of ours, drawn by OpenCV from far to near.

Needs no display and no graphics library; `window` shows the same on a screen.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import Camera, orbit_cameras
from plenostream.results import Progress
from plenostream.sketch.content import Sketch

__all__ = ["draw_sketch"]

SIZE = (1000, 800)
"""Pixels of a drawing."""
_ELEVATION = 25.0
_WAYS, _WAY = 12, 1
"""The view is the second of twelve around: no face is seen edge on."""
_SHADES = np.array([(196, 205, 214), (214, 221, 228), (236, 240, 244)], np.uint8)
"""Colours of faces across x, y and z."""
_EDGE, _TEXT = (172, 182, 192), (60, 60, 60)
_SHIFT = 4
"""Bits of a pixel that OpenCV is told of places."""
_AT_ONCE = 20_000
"""Faces between two reports of progress."""


def draw_sketch(sketch: Sketch, progress: Progress | None = None) -> NDArray[np.uint8]:
    """A picture [H, W, 3] of the sketch, all of it in view; rays and cameras before the bricks."""
    camera = orbit_cameras(sketch.bounds, _WAYS, elevation_degrees=_ELEVATION, size=SIZE)[_WAY]
    pixels = np.full((SIZE[1], SIZE[0], 3), 255, np.uint8)
    _draw_faces(pixels, camera, sketch, progress)
    for lines in sketch.lines:
        ends = _places(camera, lines.ends)
        cv2.polylines(pixels, list(ends), False, lines.colour, 1, cv2.LINE_AA, _SHIFT)
    for dots in sketch.dots:
        for place in _places(camera, dots.places):
            centre = (int(place[0]), int(place[1]))
            radius = dots.radius << _SHIFT
            cv2.circle(pixels, centre, radius, dots.colour, cv2.FILLED, cv2.LINE_AA, _SHIFT)
    for number, line in enumerate(sketch.told[:20]):
        place = (12, 24 + 20 * number)
        # Its font has ASCII alone.
        text = line.encode("ascii", "replace").decode()
        cv2.putText(pixels, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, _TEXT, 1, cv2.LINE_AA)
    return pixels


def _draw_faces(
    pixels: NDArray[np.uint8], camera: Camera, sketch: Sketch, progress: Progress | None
) -> None:
    """The faces that look at the camera, far ones first."""
    faces = sketch.faces
    middles = faces.corners.mean(axis=1)
    towards = camera.eye_world - middles
    looks = np.take_along_axis(towards, faces.axis[:, None], axis=1)[:, 0] * faces.sign > 0
    order = np.flatnonzero(looks)
    order = order[np.argsort(-np.linalg.norm(towards[order], axis=1))]
    corners = _places(camera, faces.corners[order])
    for done, (face, corner) in enumerate(zip(order.tolist(), corners, strict=True)):
        shade = tuple(_SHADES[faces.axis[face]].tolist())
        cv2.fillConvexPoly(pixels, corner, shade, cv2.LINE_AA, _SHIFT)
        cv2.polylines(pixels, [corner], True, _EDGE, 1, cv2.LINE_AA, _SHIFT)
        if progress is not None and done % _AT_ONCE == 0:
            progress("drawing", done, len(order))
    if progress is not None:
        progress("drawing", max(1, len(order)), max(1, len(order)))


def _places(camera: Camera, points: NDArray[np.float64]) -> NDArray[np.int32]:
    """Where points [..., 3] are seen, [..., 2], in parts of a pixel as OpenCV counts them."""
    seen = camera.project(points.reshape(-1, 3)) - 0.5
    scaled: NDArray[np.int32] = np.rint(seen * (1 << _SHIFT)).astype(np.int32)
    return scaled.reshape(*points.shape[:-1], 2)
