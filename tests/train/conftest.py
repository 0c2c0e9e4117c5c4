"""A toy to train from: a ball of smooth colours, photographed all around."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plenostream as ps
from plenostream.cameras import Camera, PicturedCamera, look_at_camera
from plenostream.export.picture_files import write_png
from plenostream.export.pixels import colour_8bit

SIZE = 32
_VIEWS, _EDGE = 20, 48


def ball(lower: Sequence[int], upper: Sequence[int]) -> Any:
    """Densities and colours of a box of voxels."""
    voxels = np.stack(np.meshgrid(*map(np.arange, lower, upper), indexing="ij"), -1)
    at = (voxels + 0.5) / SIZE * 2.0 - 1.0
    radius = np.linalg.norm(at - (0.1, 0.0, -0.1), axis=-1)
    density = 40.0 * np.clip((0.6 - radius) / 0.1, -0.1, 1.0)
    colours = 0.5 + 0.4 * np.sin(3.0 * at + (0.0, 1.0, 2.0))
    return density.astype(np.float32), colours.astype(np.float32)


def cameras() -> list[Camera]:
    """Views along a spiral."""
    found = []
    for number in range(_VIEWS):
        height, azimuth = 1.6 * (number + 0.5) / _VIEWS - 0.8, 2.4 * number
        level = np.sqrt(1.0 - height**2)
        eye = 3.0 * np.array([level * np.cos(azimuth), level * np.sin(azimuth), height])
        found.append(look_at_camera(eye, (0, 0, 0), fov_degrees=40.0, size=(_EDGE, _EDGE)))
    return found


@pytest.fixture(scope="session")
def toy_scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ball as a scene."""
    place = tmp_path_factory.mktemp("toy") / "ball.zarr"
    ps.write_scene(place, ps.GridSpec(size=(SIZE, SIZE, SIZE)), ball)
    return place


@pytest.fixture(scope="session")
def toy_views(toy_scene: Path) -> list[PicturedCamera]:
    """Its photographs, on white."""
    views = []
    with ps.open_scene(toy_scene) as scene, ps.Renderer(scene) as renderer:
        for number, camera in enumerate(cameras()):
            picture = toy_scene.with_name(f"{number}.png")
            write_png(picture, colour_8bit(renderer.render(camera).rgb), overwrite=False)
            views.append(
                PicturedCamera(number=number, camera=camera, picture=picture, name=picture.name)
            )
    return views


@pytest.fixture(scope="session")
def grey_scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ball's densities, grey."""

    def grey(lower: Sequence[int], upper: Sequence[int]) -> Any:
        density, colours = ball(lower, upper)
        return density, np.full_like(colours, 0.5)

    place = tmp_path_factory.mktemp("grey") / "ball.zarr"
    ps.write_scene(place, ps.GridSpec(size=(SIZE, SIZE, SIZE)), grey)
    return place
