"""How far the picture of a resampled model is from the one that its own program would draw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plenostream.options import ConvertOptions

if TYPE_CHECKING:
    from plenostream.importers.resampled.model import ForeignModel

__all__ = ["approximation_line"]

_VIEWS, _SIZE = 3, (64, 64)


def approximation_line(scene: str, model: ForeignModel, options: ConvertOptions) -> str:
    """What the report says of it: over the views of an orbit, on white, in float32."""
    from plenostream.cameras import orbit_cameras
    from plenostream.options import StreamOptions
    from plenostream.renderer import Renderer
    from plenostream.scene import open_scene

    stream = StreamOptions(precision="float32", host_memory=max(options.host_bytes, 256_000_000))
    differences = []
    with open_scene(scene) as opened, Renderer(opened, stream=stream) as renderer:
        for camera in orbit_cameras(opened.grid, _VIEWS, elevation_degrees=20.0, size=_SIZE):
            row, column = np.mgrid[: camera.height, : camera.width] + 0.5
            local = [(column - camera.cx) / camera.fx, (row - camera.cy) / camera.fy]
            dirs = np.stack([*local, np.ones(row.shape)], axis=-1).reshape(-1, 3)
            dirs = dirs @ np.asarray(camera.c2w)[:3, :3].T
            origins = np.broadcast_to(np.asarray(camera.c2w)[:3, 3], dirs.shape)
            own = model.see(origins, dirs)
            differences.append(renderer.render(camera).rgb.reshape(-1, 3) - own)
    difference = np.stack(differences)
    error = float(np.square(difference).mean())
    decibel = f"{-10 * np.log10(error):.2f} dB" if error > 0 else "the same"
    return (
        f"picture   {decibel} against the format's own rules ({_VIEWS} views of "
        f"{_SIZE[0]}x{_SIZE[1]}); largest difference {np.abs(difference).max():.3g}"
    )
