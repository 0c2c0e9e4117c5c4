"""A sketch in a window of Open3D, to be turned and zoomed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import PlenostreamError
from plenostream.sketch.content import Colour, Sketch

__all__ = ["geometries", "show_sketch"]

_BRICKS = (120, 135, 150)
_NO_OPEN3D = (
    "a window needs Open3D, which cannot be loaded here ({reason}). It comes with "
    "`pip install 'plenostream[inspect]'`; a picture, --out FILE.png, needs nothing"
)


def show_sketch(sketch: Sketch, *, title: str) -> None:
    """Open a window, and wait until it is closed.

    Raises
    ------
    PlenostreamError : Open3D is not there, or no window can be opened.
    """
    open3d = _require_open3d()
    viewer = open3d.visualization.Visualizer()
    try:
        if not viewer.create_window(window_name=title):
            raise PlenostreamError(
                "no window can be opened here; name a picture with --out FILE.png"
            )
        for geometry in geometries(sketch):
            viewer.add_geometry(geometry)
        viewer.get_render_option().point_size = 5.0
        viewer.run()
    finally:
        viewer.destroy_window()


def geometries(sketch: Sketch) -> list[Any]:
    """What Open3D shows: the edges of bricks and the lines as line sets, the dots as clouds."""
    open3d = _require_open3d()
    square = sketch.faces.corners
    edges = np.stack([square, np.roll(square, -1, axis=1)], axis=2).reshape(-1, 2, 3)
    made = [_line_set(edges, _BRICKS)] if len(edges) else []
    made += [_line_set(lines.ends, lines.colour) for lines in sketch.lines]
    for dots in sketch.dots:
        if len(dots.places):
            cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(dots.places))
            cloud.paint_uniform_color(np.array(dots.colour) / 255)
            made.append(cloud)
    return made


def _line_set(ends: NDArray[np.float64], colour: Colour) -> Any:
    open3d = _require_open3d()
    numbers = np.arange(2 * len(ends), dtype=np.int32).reshape(-1, 2)
    lines = open3d.geometry.LineSet(
        open3d.utility.Vector3dVector(ends.reshape(-1, 3)), open3d.utility.Vector2iVector(numbers)
    )
    lines.paint_uniform_color(np.array(colour) / 255)
    return lines


def _require_open3d() -> Any:
    # Here, since it takes seconds to load, and is an extra.
    try:
        import open3d
    except ImportError as error:
        raise PlenostreamError(_NO_OPEN3D.format(reason=error)) from error
    return open3d
