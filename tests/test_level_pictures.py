"""Coarser levels are drawn as what they are: fields of wider cells, with longer steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import plenostream as ps
from plenostream import reference
from plenostream.edits import add_levels
from plenostream.errors import InvalidInput
from plenostream.format.reader import open_level, open_store
from plenostream.testing.checkpoints import constant_checkpoint, random_checkpoint
from plenostream.testing.pictures import fragile_rays, open_renderer, rays_around
from plenostream.testing.scenes import write_checkpoint_plain

pytestmark = pytest.mark.usefixtures("each_backend", "alike_pools")

SIZE = (33, 17, 25)
"""Of which the last voxel is one of level 2's, too: beyond it positions of all levels are clamped."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Uneven voxels; two levels."""
    folder = tmp_path_factory.mktemp("levels")
    arrays = random_checkpoint(3, size=SIZE, active_share=0.3, radius=(1.0, 0.6, 0.9))
    arrays.density[::4] *= -1
    write_checkpoint_plain(folder / "plain", arrays, brick_size=8)
    add_levels(folder / "plain", folder / "scene", levels=2)
    return folder / "scene"


def refined(scene: Path, level: int) -> reference.ReferenceModel:
    """A level's field at the voxels of level 0, which is the same field: linear between them."""
    with open_store(scene) as store:
        coarse, edge, width = open_level(store, level), store.meta.brick_size, 2**level
        size = coarse.meta.grid.size
        values = np.zeros([*(n + edge for n in size), 1 + coarse.meta.sh_columns])
        rows = np.column_stack([coarse.read_array(name) for name in ("rows/density", "rows/sh")])
        for number, index in enumerate(coarse.tables.index):
            bits = np.unpackbits(coarse.tables.mask[number], bitorder="little")
            local = np.unravel_index(np.flatnonzero(bits), (edge + 1,) * 3)
            own = slice(*coarse.tables.row_start[number : number + 2])
            values[tuple(np.stack(local) + edge * index[:, None])] = rows[own]
        grid = store.meta.grid
    for axis, n in enumerate(grid.size):
        at = np.arange(n) / width
        low = np.minimum(at.astype(int), size[axis] - 2)
        share = (at - low).reshape([-1 if a == axis else 1 for a in range(4)])
        values = values.take(low, axis) * (1 - share) + values.take(low + 1, axis) * share
    flat = values.reshape(-1, values.shape[-1])
    links: NDArray[np.int64] = np.arange(len(flat)).reshape(grid.size)
    return reference.make_model(
        links, flat[:, 0], flat[:, 1:], radius=grid.radius, center=grid.center
    )


@pytest.mark.parametrize("level", [1, 2])
def test_level_is_its_field_seen_with_longer_steps(scene: Path, level: int) -> None:
    origins, dirs = rays_around(8, 600)
    with ps.open_scene(scene) as opened:
        sound = ~fragile_rays(opened.grid, origins, dirs, step_size=0.5 * 2**level)
    expected = reference.render_rays(
        refined(scene, level), origins, dirs, step_size=0.5 * 2**level, near_clip=0.3
    )
    with open_renderer(
        scene, options={"level": level, "near_clip": 0.3}, precision="float32"
    ) as renderer:
        got = renderer.render_rays(origins, dirs)
    assert sound.mean() > 0.9
    np.testing.assert_allclose(got.rgb[sound], expected.rgb[sound], atol=2e-5)
    np.testing.assert_allclose(got.alpha[sound], 1 - expected.trans[sound], atol=2e-5)
    np.testing.assert_allclose(got.depth[sound], expected.depth[sound], atol=2e-4)


def test_uniform_scene_looks_alike_at_all_levels(
    make_scene: Callable[..., Path], tmp_path: Path
) -> None:
    """Border, box and lattice are level 0's; sizes of which no level has the last voxel."""
    plain = make_scene(constant_checkpoint(size=(14, 20, 12)), brick_size=8)
    add_levels(plain, tmp_path / "scene", levels=2)
    origins, dirs = rays_around(4, 400)
    for level in (1, 2):
        pictures = []
        for options in ({"step_size": 0.5 * 2.0**level}, {"level": level}):
            with open_renderer(tmp_path / "scene", options=options, precision="float32") as drawn:
                pictures.append(drawn.render_rays(origins, dirs))
        np.testing.assert_allclose(pictures[1].rgb, pictures[0].rgb, atol=2e-5)
        np.testing.assert_allclose(pictures[1].depth, pictures[0].depth, atol=2e-4)


def test_level_keeps_within_what_was_planned_for_it(scene: Path) -> None:
    camera = ps.look_at_camera((1.5, 2.0, 0.7), (0, 0, 0), size=(64, 48))
    with ps.open_scene(scene) as opened:
        with ps.Renderer(opened, ps.RenderOptions(level=1)) as renderer:
            plan, stats = renderer.plan(camera), renderer.render(camera).stats
        assert stats.peak_device_bytes <= plan.planned_device_bytes
        assert stats.peak_host_bytes <= stats.planned_host_bytes
        assert plan.bricks_visible <= opened.meta.levels[0].n_occupied


def test_level_that_is_not_there_is_refused(scene: Path) -> None:
    with (
        pytest.raises(InvalidInput, match="has levels 0 to 2, and level is 3"),
        open_renderer(scene, options={"level": 3}),
    ):
        pass
