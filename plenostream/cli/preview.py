"""A sheet of small views of a scene, to see what it is."""

from __future__ import annotations

from pathlib import Path

__all__ = ["PREVIEW_HELP", "check_preview", "write_preview"]

PREVIEW_HELP = (
    "Also draw six views of a scene in one picture (PNG): from +x, +y and -x, and below them from "
    "-y, straight from above and straight from below."
)
_EDGE = 256
"""Pixels of an edge of a view."""
_ELEVATION = 20.0


def check_preview(path: str) -> None:
    """Refuse a place at which no sheet can be written, before anything is read.

    Raises
    ------
    InvalidInput : no .png.
    OutputError : its folder cannot be written to.
    """
    from plenostream.errors import InvalidInput, shown
    from plenostream.files.atomic import try_place

    if Path(path).suffix.lower() != ".png":
        raise InvalidInput(f"--preview is {shown(path)}; expected a name that ends in .png")
    try_place(path, what="preview")


def write_preview(scene: str, path: str, *, overwrite: bool) -> None:
    """Draw the scene at `scene` and write the sheet to `path`."""
    import numpy as np

    from plenostream.cameras import orbit_cameras
    from plenostream.export.picture_files import write_png
    from plenostream.export.pixels import colour_8bit
    from plenostream.field.grid import GridSpec
    from plenostream.format.contents import world_bounds
    from plenostream.renderer import Renderer
    from plenostream.scene import open_scene

    with open_scene(scene) as opened, Renderer(opened) as renderer:
        size = (_EDGE, _EDGE)
        bounds = world_bounds(opened.store)
        low, high = np.array(bounds["drawn"] or bounds["volume"])
        x, y, z = (0.5 * (high - low)).tolist()
        cx, cy, cz = (0.5 * (high + low)).tolist()
        shown = GridSpec(size=opened.grid.size, radius=(x, y, z), center=(cx, cy, cz))
        around = orbit_cameras(shown, 4, elevation_degrees=_ELEVATION, size=size)
        poles = [
            orbit_cameras(shown, 1, elevation_degrees=degrees, size=size)[0]
            for degrees in (90.0, -90.0)
        ]
        views = [colour_8bit(renderer.render(camera).rgb) for camera in (*around, *poles)]
    rows = [np.concatenate(views[first : first + 3], axis=1) for first in (0, 3)]
    write_png(Path(path), np.concatenate(rows), overwrite=overwrite)
