"""What subvolumes of a scene show goes together to the picture of the scene."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import plenostream as ps
from plenostream.cameras.lenses import Fisheye, Orthographic
from plenostream.engine.bands import Band, RayBand
from plenostream.engine.joining import Joining, refuse_what_does_not_join
from plenostream.engine.sheets import Sheet
from plenostream.engine.subvolumes import Subvolumes, brick_bytes, subvolume_plan
from plenostream.errors import BudgetError, InvalidInput
from plenostream.format.opening import open_level
from plenostream.plan import bricks_within, fold, split_bricks
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.extras import layer_arrays, save_with
from plenostream.testing.pictures import open_renderer, rays_around

OUTSIDE = ps.look_at_camera((1.6, 1.1, 0.7), (0, 0, 0), size=(72, 56), fov_degrees=60)
INSIDE = ps.look_at_camera((0.2, -0.3, 0.1), (1, 0.4, 0), size=(72, 56), fov_degrees=90)


class Parts:
    """A scene drawn as a cluster would draw it, one subvolume after another."""

    def __init__(self, scene: Path, n: int, *, seed: int | None = None, **options: Any) -> None:
        """With a `seed`, bricks are split as if they took any number of bytes."""
        self.options, stream = ps.RenderOptions(**options), ps.StreamOptions(precision="float32")
        self.scene = ps.open_scene(scene)
        store = open_level(self.scene.store, options.get("level", 0))
        self.joining = Joining(store.meta, self.options)
        costs = brick_bytes(store, self.options, stream)
        n_bytes = costs.n_bytes
        if seed is not None:
            n_bytes = np.random.default_rng(seed).integers(1, 1000, len(n_bytes)) ** 2
        self.split = split_bricks(costs.index, n_bytes, n, store.meta.bricks.shape)
        self.kept = Subvolumes(store, self.options, stream, self.split.boxes, self.split.n_bytes)

    def __enter__(self) -> Parts:
        return self

    def __exit__(self, *_: object) -> None:
        self.kept.close()
        self.scene.close()

    def seen(self, band: Band) -> dict[str, NDArray[np.float32]]:
        def draw(number: int) -> Sheet:
            return band.draw(self.kept.sessions[number])[0]

        def join(cut: Any, low: Sheet, high: Sheet) -> Sheet:
            return self.joining.joined(band, cut, low, high)

        return band.finish(self.kept.sessions[0], fold(self.split.root, draw, join))

    def picture(self, camera: ps.Camera, n_rows: int = 3) -> dict[str, NDArray[np.float32]]:
        bands = [self.seen(band) for _, band in self.joining.bands(camera, n_rows)]
        return {name: np.concatenate([band[name] for band in bands]) for name in bands[0]}


def assert_same(found: dict[str, NDArray[np.float32]], expected: Any) -> None:
    for name, values in found.items():
        # Where gradients all but cancel, the direction of their sum takes less than float32's digits.
        within = 5e-4 if name == "normals" else 2e-5
        np.testing.assert_allclose(values, getattr(expected, name), atol=within, err_msg=name)


@pytest.mark.parametrize("n", [1, 2, 3, 8])
@pytest.mark.parametrize("camera", [OUTSIDE, INSIDE], ids=["outside", "inside"])
def test_subvolumes_go_together_to_the_picture(
    gyroid: CheckpointArrays, make_scene: Callable[..., Path], n: int, camera: ps.Camera
) -> None:
    scene = make_scene(gyroid, brick_size=8)
    options = {
        "background": (0.2, 0.5, 0.9),
        "samples": 2,
        "outputs": ("rgb", "normals", "mean-depth"),
    }
    with open_renderer(scene, options=options, precision="float32") as renderer:
        expected = renderer.render(camera)
    with Parts(scene, n, **options) as parts:
        assert_same(parts.picture(camera), expected)


CASES: dict[str, tuple[ps.Camera, dict[str, Any]]] = {
    "a fisheye among the bricks": (
        ps.Camera(
            INSIDE.c2w, 25.0, 22.0, 36.5, 28.0, 72, 56, Fisheye(k=(0.08, -0.03, 0.01, -0.002))
        ),
        {},
    ),
    "rays that are parallel": (
        ps.Camera(OUTSIDE.c2w, 30.0, 25.0, 36.5, 28.0, 72, 56, Orthographic()),
        {},
    ),
    "an opaque last sample": (OUTSIDE, {"last_sample_opaque": True}),
    "clips before the eye": (OUTSIDE, {"near_clip": 0.7, "far_cap": 60.0}),
    "ellipsoids in front of the eye": (OUTSIDE, {"spheric_clip": True, "near_clip": 0.6}),
    "ellipsoids around the eye": (INSIDE, {"spheric_clip": True, "near_clip": 0.3}),
    "coordinates of a device": (
        ps.look_at_camera((0.1, 0.2, -2.0), (0, 0, 1), size=(72, 56), fov_degrees=50),
        {"ndc": (72.0, 56.0, 60.0, 60.0)},
    ),
    "rays that meet in the volume": (
        ps.look_at_camera((0.1, 0.2, 3.0), (0, 0, 9), size=(72, 56), fov_degrees=50),
        {"ndc": (72.0, 56.0, 60.0, 60.0)},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_moves_a_ray_or_ends_it_moves_no_sample_of_a_subvolume(
    gyroid: CheckpointArrays, make_scene: Callable[..., Path], case: str
) -> None:
    scene, (camera, options) = make_scene(gyroid, brick_size=8), CASES[case]
    with open_renderer(scene, options=options, precision="float32") as renderer:
        expected = renderer.render(camera)
    assert expected.alpha.max() > 0.1
    with Parts(scene, 5, **options) as parts:
        assert_same(parts.picture(camera), expected)


@pytest.mark.parametrize("seed", range(6))
def test_any_split_is_seen_from_anywhere(
    gyroid: CheckpointArrays, make_scene: Callable[..., Path], seed: int
) -> None:
    scene, rng = make_scene(gyroid, brick_size=8), np.random.default_rng(seed)
    with (
        Parts(scene, int(rng.integers(2, 20)), seed=seed) as parts,
        open_renderer(scene, precision="float32") as renderer,
    ):
        for _ in range(4):
            eye, target = rng.uniform(-1.5, 1.5, 3), rng.uniform(-0.8, 0.8, 3)
            # Some eyes lie on a plane between bricks, along some axes.
            faces = parts.scene.grid.grid_to_world(rng.integers(0, 6, 3) * 8.0)
            eye = np.where(rng.random(3) < 0.3, faces, eye)
            camera = ps.look_at_camera(tuple(eye), tuple(target), size=(24, 24), fov_degrees=80)
            assert_same(parts.picture(camera), renderer.render(camera))


def test_a_ray_that_is_stopped_early_differs_by_what_was_left(
    gyroid: CheckpointArrays, make_scene: Callable[..., Path]
) -> None:
    scene, options = make_scene(gyroid, brick_size=8), {"stop_thresh": 0.02}
    with open_renderer(scene, options=options, precision="float32") as renderer:
        expected = renderer.render(OUTSIDE)
    with Parts(scene, 5, **options) as parts:
        found = parts.picture(OUTSIDE)
    for name, brightest in {"rgb": 2.0, "alpha": 0.0, "depth": 5.0}.items():
        difference = np.abs(found[name] - getattr(expected, name)).max()
        assert difference <= 0.02 * brightest + 2e-5, name
        assert (difference > 2e-5) == (name != "alpha"), "nothing was stopped"


def test_arbitrary_rays_of_all_octants_and_eyes_on_planes(
    gyroid: CheckpointArrays, make_scene: Callable[..., Path]
) -> None:
    scene = make_scene(gyroid, brick_size=8)
    origins, directions = rays_around(3, 500)
    with (
        open_renderer(scene, precision="float32") as renderer,
        Parts(scene, 7) as parts,
    ):
        found = parts.seen(RayBand(origins=origins, directions=directions, ndc=None))
        assert_same(found, renderer.render_rays(origins, directions))
        # Where all planes of the tree go through bricks' corners, so does an eye at one of them.
        corner = parts.scene.grid.grid_to_world(np.array([24.0, 24.0, 24.0]))
        for beside in (0.0, 1e-7, -1e-7):
            eye = corner + beside
            camera = ps.look_at_camera(tuple(eye), (1, 0.4, 0.3), size=(40, 40), fov_degrees=110)
            assert_same(parts.picture(camera), renderer.render(camera))


def test_layers_lie_behind_all_subvolumes_of_any_level(
    tmp_path: Path, gyroid: CheckpointArrays
) -> None:
    layers: dict[str, Any] = layer_arrays(4)
    save_with(tmp_path / "x.npz", gyroid, **layers)
    ps.convert(tmp_path / "x.npz", tmp_path / "scene", ps.ConvertOptions(brick_size=8, levels=1))
    for level in (0, 1):
        with open_renderer(
            tmp_path / "scene", options={"level": level}, precision="float32"
        ) as renderer:
            expected = renderer.render(OUTSIDE)
        with Parts(tmp_path / "scene", 3, level=level) as parts:
            assert_same(parts.picture(OUTSIDE), expected)


@given(st.data())
def test_every_brick_is_in_one_subvolume(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(*[st.integers(1, 9)] * 3))
    places = st.tuples(*(st.integers(0, edge - 1) for edge in shape))
    index = np.array(data.draw(st.lists(places, min_size=1, max_size=60, unique=True)), np.int32)
    weights = st.lists(st.integers(1, 1000), min_size=len(index), max_size=len(index))
    n_bytes = np.array(data.draw(weights), np.int64)
    n = data.draw(st.integers(1, len(index)))
    split = split_bricks(index, n_bytes, n, shape)
    inside = np.array([bricks_within(index, box) for box in split.boxes])
    assert (inside.sum(0) == 1).all()
    assert (inside.sum(1) >= 1).all()
    assert (inside @ n_bytes == split.n_bytes).all()
    assert np.prod(split.boxes[:, 1] - split.boxes[:, 0], axis=1).sum() == np.prod(shape)


def test_even_bricks_are_shared_evenly() -> None:
    index = np.argwhere(np.ones((8, 8, 8), bool)).astype(np.int32)
    for n in (2, 3, 8, 64):
        split = split_bricks(index, np.full(512, 10), n, (8, 8, 8))
        assert split.balance >= (1.0 if n != 3 else 0.85), n
    with pytest.raises(InvalidInput, match="512 bricks to draw, which is too few for 513"):
        split_bricks(index, np.full(512, 10), 513, (8, 8, 8))


def test_subvolume_takes_what_was_planned_and_stays(
    gyroid: CheckpointArrays, make_scene: Callable[..., Path]
) -> None:
    scene = make_scene(gyroid, brick_size=8)
    with Parts(scene, 3) as parts:
        room = parts.kept.sheet_bytes // 3
        for session in parts.kept.sessions:
            plan, held = subvolume_plan(session, OUTSIDE, room=room), 0
            for _, band in parts.joining.bands(OUTSIDE, plan.band_rows):
                sheet, stats = band.draw(session)
                held += sheet.nbytes
                assert stats.peak_device_bytes <= plan.device_bytes <= plan.allowed_device_bytes
                assert stats.peak_host_bytes <= plan.host_bytes <= plan.allowed_host_bytes
            assert 0 < held <= plan.sheet_bytes
            assert 0 < session.use.bytes_read <= plan.read_bytes
            _, again = band.draw(session)
            assert again.bricks_read == again.bricks_evicted == 0
        box, n_bytes = parts.split.boxes[:1], parts.split.n_bytes[:1]
        least = subvolume_plan(parts.kept.sessions[0], OUTSIDE, room=room).smallest_device_bytes
        for allowed in (least, least - 1):
            stream = ps.StreamOptions(precision="float32", device_memory=allowed)
            with Subvolumes(parts.scene.store, parts.options, stream, box, n_bytes) as alone:
                if allowed == least:
                    assert subvolume_plan(alone.sessions[0], OUTSIDE, room=room).band_rows >= 1
                    continue
                with pytest.raises(BudgetError, match="all bricks, which are to stay") as refused:
                    subvolume_plan(alone.sessions[0], OUTSIDE, room=room)
                assert refused.value.smallest_bytes == least


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"model": "nvol"}, "nvol"),
        ({"outputs": ("median-depth",)}, "median-depth"),
        ({"outputs": ("density-depth",)}, "density-depth"),
        ({"outputs": ("cost",)}, "cost"),
        ({"level": "auto"}, "level auto"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(options: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidInput, match=word):
        refuse_what_does_not_join(ps.RenderOptions(**options))
