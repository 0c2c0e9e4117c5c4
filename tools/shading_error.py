"""How far shading "auto" is from "exact" on scenes, seen from far, near and inside.

    .venv/bin/python tools/shading_error.py SCENE [SCENE ...]

Fails if a channel of a pixel differs by more than the tolerance.
"""

from __future__ import annotations

import sys

import numpy as np

import plenostream as ps

_SIZE = (400, 400)


def views(grid: ps.GridSpec) -> dict[str, ps.Camera]:
    """Cameras by name, at distances in units of the grid's largest radius."""
    centre, radius = np.array(grid.center), max(grid.radius)
    places = {"far": (4.0, -3.0, 2.5), "near": (1.1, -0.9, 0.6), "inside": (0.12, -0.31, 0.21)}
    fields_of_view = {"far": 25.0, "near": 60.0, "inside": 90.0}
    return {
        name: ps.look_at_camera(
            tuple((centre + radius * np.array(place)).tolist()),
            tuple((centre + 0.1 * radius).tolist()),
            fov_degrees=fields_of_view[name],
            size=_SIZE,
        )
        for name, place in places.items()
    }


def main() -> None:
    ps.prepare_jax()
    tolerance = ps.RenderOptions().shading_tolerance
    failed = False
    print(
        f"{'scene':<28}{'view':<10}{'bricks reduced':>16}{'difference':>12}  (at most {tolerance})"
    )
    for path in sys.argv[1:]:
        with ps.open_scene(path) as scene:
            for name, camera in views(scene.grid).items():
                pictures, stats = [], ps.FrameStats()
                for shading in ("exact", "auto"):
                    options = ps.RenderOptions(shading=shading)
                    with ps.Renderer(scene, options=options) as renderer:
                        image = renderer.render(camera)
                    pictures.append(image.rgb)
                    stats = image.stats
                worst = float(np.abs(pictures[1] - pictures[0]).max())
                failed = failed or worst > tolerance
                share = stats.bricks_reduced / max(stats.bricks_visible, 1)
                print(f"{path[-27:]:<28}{name:<10}{share:>16.0%}{worst:>12.1e}", flush=True)
    if failed:
        sys.exit("a picture differs by more than the tolerance")


if __name__ == "__main__":
    main()
