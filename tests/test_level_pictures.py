"""Coarser levels are drawn as what they are: fields of wider cells, with longer steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import plenostream as ps
from plenostream import reference
from plenostream.edits import add_levels, prune
from plenostream.engine.footprint import level_reach
from plenostream.engine.session import Lot, Session
from plenostream.errors import BudgetError, InvalidInput
from plenostream.format.opening import open_level, open_store
from plenostream.plan import bricks_drawn
from plenostream.testing.checkpoints import CheckpointArrays, constant_checkpoint, random_checkpoint
from plenostream.testing.extras import layer_arrays, save_with
from plenostream.testing.pictures import fragile_rays, open_renderer, rays_around, rays_of
from plenostream.testing.scenes import write_checkpoint_plain

pytestmark = pytest.mark.usefixtures("each_backend", "alike_pools")

SIZE = (33, 17, 25)
"""Of which the last voxel is one of level 2's, too: beyond it positions of all levels are clamped."""


def checkpoint() -> CheckpointArrays:
    arrays = random_checkpoint(3, size=SIZE, active_share=0.3, radius=(1.0, 0.6, 0.9))
    arrays.density[::4] *= -1
    return arrays


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Uneven voxels; two levels."""
    folder = tmp_path_factory.mktemp("levels")
    write_checkpoint_plain(folder / "plain", checkpoint(), brick_size=8)
    add_levels(folder / "plain", folder / "scene", levels=2)
    return folder / "scene"


def voxels(scene: Path, level: int) -> NDArray[np.float64]:
    """Density and coefficients of all voxels of a level, 0 where there is none."""
    with open_store(scene) as store:
        coarse, edge = open_level(store, level), store.meta.brick_size
        size = coarse.meta.grid.size
        values = np.zeros([*(n + edge for n in size), 1 + coarse.meta.sh_columns])
        rows = np.column_stack([coarse.read_array(name) for name in ("rows/density", "rows/sh")])
        for number, index in enumerate(coarse.tables.index):
            bits = np.unpackbits(coarse.tables.mask[number], bitorder="little")
            local = np.unravel_index(np.flatnonzero(bits), (edge + 1,) * 3)
            own = slice(*coarse.tables.row_start[number : number + 2])
            values[tuple(np.stack(local) + edge * index[:, None])] = rows[own]
        x, y, z = map(slice, size)
        return values[x, y, z]


def refined(scene: Path, grid: ps.GridSpec, level: int) -> reference.ReferenceModel:
    """A level's field at the voxels of level 0, which is the same field: linear between them."""
    values = voxels(scene, level)
    for axis, n in enumerate(grid.size):
        at = np.arange(n) / 2**level
        low = np.minimum(at.astype(int), values.shape[axis] - 2)
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
        grid = opened.grid
        sound = ~fragile_rays(opened.grid, origins, dirs, step_size=0.5 * 2**level)
    expected = reference.render_rays(
        refined(scene, grid, level), origins, dirs, step_size=0.5 * 2**level, near_clip=0.3
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


def mixed(scene: Path, camera: ps.Camera, footprint: float) -> dict[str, NDArray[np.float64]]:
    """The picture of level auto over black, sample by sample: of the bricks of level l, every 2^l-th."""
    with ps.open_scene(scene) as opened:
        grid = opened.grid
    fields = [voxels(scene, level) for level in range(3)]
    reach = level_reach(camera, grid, 2, footprint)
    origins, dirs = rays_of(camera)
    eye, size = grid.world_to_grid(camera.eye_world), np.array(grid.size)
    along = dirs * grid.scale
    per_t = 1 / np.linalg.norm(along, axis=1)
    along *= per_t[:, None]
    faces = np.stack([(-0.5 - eye) / along, (size - 0.5 - eye) / along])
    enter, leave = np.maximum(faces.min(0).max(1), 0.0), faces.max(0).min(1)
    basis = reference.sh_basis(dirs, fields[0].shape[-1] // 3)
    trans, rgb, depth = np.ones(len(dirs)), np.zeros((len(dirs), 3)), np.zeros(len(dirs))
    for k in range(int(((leave - enter).max()) / 0.5) + 1):
        t = enter + 0.5 * k
        place = np.clip(eye + t[:, None] * along, 0, size - 1)
        for level in range(3):
            if k % 2**level:
                continue
            at = place / 2**level
            cell = np.minimum(at.astype(np.int32), np.array(fields[level].shape[:3]) - 2)
            drawn = bricks_drawn(
                cell // 8,
                level,
                brick_size=8,
                eye_grid=eye,
                voxel_edges=1 / grid.scale,
                reach=reach,
            )
            mean = np.zeros((len(dirs), fields[level].shape[-1]))
            for corner in np.ndindex(2, 2, 2):
                weight = np.where(corner, at - cell, 1 - (at - cell)).prod(1)
                mean += weight[:, None] * fields[level][tuple((cell + corner).T)]
            counts = drawn & (t <= leave) & (mean[:, 0] > 1e-10)
            tau = np.where(counts, mean[:, 0], 0) * 0.5 * 2**level * per_t
            seen = trans * (1 - np.exp(-tau))
            colour = (mean[:, 1:].reshape(len(dirs), 3, -1) * basis[:, None]).sum(-1) + 0.5
            rgb += seen[:, None] * np.maximum(colour, 0)
            depth += seen * t * per_t
            trans = trans * np.exp(-tau)
    return {"rgb": rgb, "alpha": 1 - trans, "depth": depth}


CAMERA = ps.look_at_camera((1.6, 1.1, 0.7), (0, 0, 0), size=(48, 40), fov_degrees=70)
FOOTPRINT = 8.0
"""Of which the picture has bricks of two levels."""


def test_each_place_is_drawn_from_the_level_that_is_fine_enough(scene: Path) -> None:
    expected = mixed(scene, CAMERA, FOOTPRINT)
    options = {"level": "auto", "pixel_footprint": FOOTPRINT, "background": 0.0}
    with open_renderer(scene, options=options, precision="float32") as renderer:
        levels = {name.split(":")[0] for name in renderer.plan(CAMERA).device_items}
        got = renderer.render(CAMERA)
    assert levels == {"level 0", "level 1"}
    for name, values in expected.items():
        off = np.abs(getattr(got, name).reshape(values.shape) - values) > 2e-4
        assert off.mean() < 0.005, name  # samples on the face of a brick may go either way


@pytest.mark.parametrize("level", [{"level": 1}, {"level": "auto", "pixel_footprint": FOOTPRINT}])
def test_background_layers_lie_behind_all_levels(
    scene: Path, tmp_path: Path, level: dict[str, Any]
) -> None:
    save_with(tmp_path / "x.npz", checkpoint(), **layer_arrays(4))
    ps.convert(tmp_path / "x.npz", tmp_path / "both", ps.ConvertOptions(levels=2, brick_size=8))
    prune(tmp_path / "both", tmp_path / "layers", min_density=1e6)
    options = {"background": 0.0, **level}
    pictures = []
    for path, how in (
        (scene, options),
        (tmp_path / "layers", options | {"level": 0}),
        (tmp_path / "both", options),
    ):
        with open_renderer(path, options=how) as renderer:
            pictures.append(renderer.render(CAMERA))
    front, behind, both = pictures
    left = 1 - front.alpha[..., None]
    np.testing.assert_allclose(both.rgb, front.rgb + left * behind.rgb, atol=1e-4)
    assert both.rgb.mean() > front.rgb.mean() + 0.01


def test_no_footprint_is_the_scene_and_a_wide_one_the_coarsest_level(scene: Path) -> None:
    pictures = {}
    for name, options in {
        "scene": {},
        "none": {"level": "auto", "pixel_footprint": 0.0},
        "coarsest": {"level": 2},
        "wide": {"level": "auto", "pixel_footprint": 1000.0},
    }.items():
        with open_renderer(scene, options=options) as renderer:
            pictures[name] = renderer.render(CAMERA).rgb
    np.testing.assert_allclose(pictures["none"], pictures["scene"], atol=1e-6)
    np.testing.assert_allclose(pictures["wide"], pictures["coarsest"], atol=1e-6)


@pytest.mark.one_backend  # how levels share a budget is the planner's
def test_levels_keep_within_their_budget_and_less_of_it_changes_nothing(scene: Path) -> None:
    options = {"level": "auto", "pixel_footprint": FOOTPRINT, "samples": 2}
    with open_renderer(scene, options=options) as renderer:
        whole, plan = renderer.render(CAMERA), renderer.plan(CAMERA)
    assert whole.stats.peak_device_bytes <= plan.planned_device_bytes
    assert whole.stats.peak_host_bytes <= whole.stats.planned_host_bytes <= 2e9
    least = plan.smallest_budget_bytes
    with open_renderer(scene, options=options, device_memory=least) as renderer:
        tight = renderer.render(CAMERA)
    assert tight.stats.peak_device_bytes <= tight.stats.planned_device_bytes <= least
    np.testing.assert_allclose(tight.rgb, whole.rgb, atol=2e-5)
    with (
        pytest.raises(BudgetError) as refused,
        open_renderer(scene, options=options, device_memory=least // 2) as renderer,
    ):
        renderer.render(CAMERA)
    assert refused.value.allowed_bytes == least // 2 < refused.value.smallest_bytes <= 2 * least


@pytest.mark.one_backend
def test_rays_that_end_in_a_level_are_not_drawn_in_the_next(
    scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lots: list[Lot] = []
    draw = Session.draw

    def watched(session: Session, layout: Any, waiting: Iterator[Lot], *more: Any) -> Any:
        lots.extend(mine := list(waiting))
        return draw(session, layout, iter(mine), *more)

    monkeypatch.setattr(Session, "draw", watched)
    options = {"level": "auto", "pixel_footprint": FOOTPRINT, "stop_thresh": 0.6}
    with open_renderer(scene, options=options) as renderer:
        picture = renderer.render(CAMERA)
    first, second = (lot.rays.per_tile[-1] for lot in lots)
    assert first.all()
    assert not second.all(), "some rays end in level 0"
    assert (picture.alpha == 1.0).sum() >= np.count_nonzero(~second)
    assert len(second) <= len(first) <= 5 * 6


def test_level_that_is_not_there_is_refused(scene: Path) -> None:
    with (
        pytest.raises(InvalidInput, match="has levels 0 to 2, and level is 3"),
        open_renderer(scene, options={"level": 3}),
    ):
        pass
