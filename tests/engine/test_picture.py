"""Pictures put together from tiles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import plenostream as ps
from plenostream.cameras import Camera
from plenostream.engine.picture import Pixels
from plenostream.field.aovs import Aovs
from plenostream.field.finished import Finished
from plenostream.field.tiles import TILE, TILE_RAYS
from plenostream.integrator.native import memory
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.invariants import assert_same_picture
from plenostream.testing.pictures import open_renderer

GATHERED = Aovs.of(("median-depth", "cost"))


def camera_of(width: int, height: int) -> Camera:
    return Camera(
        c2w=np.eye(4)[:3],
        fx=30.0,
        fy=30.0,
        cx=width / 2,
        cy=height / 2,
        width=width,
        height=height,
    )


def tiles_that_tell_where_they_are(camera: Camera) -> tuple[np.ndarray, ...]:
    """Colour [t, 64, 3], depth and alpha [t, 64], AOVs [t, 64, 2], of each ray's column and row."""
    columns, rows = -(-camera.width // TILE), -(-camera.height // TILE)
    number, lane = np.ogrid[: rows * columns, :TILE_RAYS]
    x = number % columns * TILE + lane % TILE
    y = number // columns * TILE + lane // TILE
    made = np.stack([x, y, x + y], -1), -x, 1000 * y + x, np.stack([x - y, 7 * x + y], -1)
    return tuple(array.astype(np.float32) for array in made)


def finished(tile: np.ndarray, *values: np.ndarray) -> Finished:
    rgb, depth, alpha, aovs = values
    return Finished(tile=tile, rgb=rgb, depth=depth, alpha=alpha, aovs=aovs)


@pytest.mark.parametrize(
    ("width", "height"), [(13, 21), (21, 13), (1, 1), (16, 8), (7, 64)], ids=str
)
@pytest.mark.parametrize("n_parts", [1, 2, 3])
def test_every_pixel_gets_its_ray_whoever_drew_its_tile(
    width: int, height: int, n_parts: int
) -> None:
    camera = camera_of(width, height)
    tiles = tiles_that_tell_where_they_are(camera)
    pixels, number = Pixels.empty(camera, GATHERED), np.arange(len(tiles[0]))
    for part in reversed(range(n_parts)):
        pixels.put(finished(number[part::n_parts], *(a[part::n_parts] for a in tiles)))
    picture = pixels.cut(camera)
    y, x = np.indices((height, width))
    assert (picture.rgb == np.stack([x, y, x + y], -1)).all()
    assert (picture.alpha == 1000 * y + x).all()
    assert (picture.depth == -x).all()
    assert (picture.aovs["median_depth"] == x - y).all()
    assert (picture.aovs["cost"] == 7 * x + y).all()


def test_tiles_of_a_band_leave_the_other_bands_alone() -> None:
    camera = camera_of(13, 21)
    tiles = tiles_that_tell_where_they_are(camera)
    pixels = Pixels.empty(camera, GATHERED)
    for array in (pixels.rgb, pixels.alpha, pixels.depth, *pixels.aovs.values()):
        array[:] = -1000.0
    pixels.put(finished(np.array([0, 1]), *(a[2:4] for a in tiles)), first=2)
    assert (pixels.rgb[8:16] != -1000.0).all()
    for array in (pixels.rgb, pixels.alpha, pixels.depth, *pixels.aovs.values()):
        assert (array[:8] == -1000.0).all()
        assert (array[16:] == -1000.0).all()


def test_picture_that_was_cut_holds_nothing_but_itself() -> None:
    camera = camera_of(13, 21)
    picture = Pixels.empty(camera, GATHERED).cut(camera)
    arrays = (picture.rgb, picture.alpha, picture.depth, *picture.aovs.values())
    assert [array.shape for array in arrays] == [(21, 13, 3), *[(21, 13)] * 4]
    assert picture.nbytes == 21 * 13 * 7 * 4
    for array in arrays:
        assert array.flags.c_contiguous
        assert array.base is None or array.base.nbytes == array.nbytes


@pytest.mark.cpu
@pytest.mark.parametrize(("eye", "n_bands"), [((0.1, -0.2, 0.1), 3), ((9.0, 2.0, 1.0), 1)])
def test_rays_of_a_third_of_a_picture_have_room_and_its_bands_change_nothing(
    gyroid: CheckpointArrays,
    make_scene: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    eye: tuple[float, float, float],
    n_bands: int,
) -> None:
    camera = ps.look_at_camera(eye, (1.0, 0.4, 0.3), fov_degrees=80.0, size=(250, 190))
    found = []
    for least in (128, 1 << 30):
        monkeypatch.setattr(memory, "_LEAST_LOT", least)
        options = {"background": (0.3, 0.7, 0.1), "samples": 2}
        with open_renderer(make_scene(gyroid), options=options, backend="native") as renderer:
            found.append((renderer.plan(camera), renderer.render(camera)))
    (plan, bands), (whole_plan, whole) = found
    assert (plan.n_bands, bands.stats.bands) == (n_bands, n_bands)
    assert (whole_plan.n_bands, whole.stats.bands) == (1, 1)
    rays = [each.device_items["ray state and output"] for each in (plan, whole_plan)]
    assert rays[0] < 0.4 * rays[1]
    for each, picture in found:
        assert picture.stats.peak_device_bytes <= each.planned_device_bytes
    assert_same_picture(bands, whole, at_most=0.0)
