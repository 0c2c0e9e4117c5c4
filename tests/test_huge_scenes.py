"""Scenes of very many bricks: drawn from those in view, and right beyond 2^32 rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import plenostream as ps
from plenostream.edits import add_levels
from plenostream.format.opening import open_store
from plenostream.plan import districts
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.few_bricks import write_few_bricks, write_in_sections
from plenostream.testing.pictures import open_renderer, rays_around
from plenostream.testing.scenes import write_checkpoint_plain

pytestmark = pytest.mark.usefixtures("each_backend", "alike_pools")

VIEWS = [
    ps.look_at_camera((2.6, 1.1, 1.3), (0.9, 0.9, 0.9), fov_degrees=12.0, size=(40, 24)),
    ps.look_at_camera((2.6, 1.1, 1.3), (0.7, 0.9, 0.9), fov_degrees=12.0, size=(40, 24)),
    ps.look_at_camera((-1.6, 1.1, -2.3), (-0.9, 0.9, -0.9), fov_degrees=20.0, size=(40, 24)),
    ps.look_at_camera((2.6, 1.1, 1.3), (0.0, 0.0, 0.0), size=(40, 24)),
]
"""The first three see parts of the scene, the last all of it."""


@pytest.fixture(scope="module")
def whole(gyroid: CheckpointArrays, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small bricks, and two levels."""
    folder = tmp_path_factory.mktemp("huge")
    write_checkpoint_plain(folder / "plain", gyroid, brick_size=8)
    add_levels(folder / "plain", folder / "whole", levels=2)
    return folder / "whole"


@pytest.fixture(scope="module")
def in_sections(whole: Path) -> Path:
    """The same, as if these were very many bricks."""
    write_in_sections(whole, whole.parent / "sections")
    return whole.parent / "sections"


@pytest.fixture
def small_districts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(districts, "_LEAST_EDGE", 2)


@pytest.mark.one_backend
@pytest.mark.usefixtures("small_districts")
@pytest.mark.parametrize("level", [0, "auto"])
def test_camera_that_moves_sees_the_same_of_bricks_in_view(
    whole: Path, in_sections: Path, level: int | str
) -> None:
    options = {"level": level, "pixel_footprint": 4.0}
    held = []
    with (
        open_renderer(whole, options=options) as one,
        open_renderer(in_sections, options=options) as other,
    ):
        for view in VIEWS:
            expected, found = one.render(view), other.render(view)
            np.testing.assert_array_equal(found.rgb, expected.rgb)
            assert other.plan(view).bricks_visible == one.plan(view).bricks_visible
            assert found.stats.peak_host_bytes <= found.stats.planned_host_bytes
            held.append(len(other._sessions.current.store.tables.index))
            if view is VIEWS[1]:
                session = other._sessions.current
                other.render(VIEWS[0])
                assert other._sessions.current is session  # it knows what was in view before
        assert level or 0 < held[0] < held[3] / 2
        assert other.use.bytes_read > 0
        rays = rays_around(3, 64)
        np.testing.assert_array_equal(other.render_rays(*rays).rgb, one.render_rays(*rays).rgb)


@pytest.mark.one_backend
def test_bricks_that_stay_in_view_stay_on_the_device(in_sections: Path) -> None:
    with open_renderer(in_sections) as renderer:
        first, again = (renderer.render(view).stats for view in (VIEWS[0], VIEWS[0]))
    assert first.bricks_read > 0
    assert again.bricks_read == 0


def test_rows_beyond_32_bits_are_those_of_their_bricks(
    gyroid: CheckpointArrays, tmp_path: Path, make_scene: Callable[..., Path]
) -> None:
    with open_store(make_scene(gyroid, brick_size=32)) as store:
        bricks = np.arange(store.meta.n_bricks)
        pictures = []
        for name, claimed in (("near", 0), ("far", 120_000)):
            meta = write_few_bricks(
                tmp_path / name,
                store,
                bricks,
                size=(4200, 4200, 4200),
                shift=(125, 3, 120),
                claimed=claimed,
            )
            first = meta.n_rows - store.meta.n_rows
            assert first == claimed * 33**3
            middle = meta.grid.grid_to_world(np.array([125, 3, 120]) * 32 + 23.5)
            eye = middle + np.array([0.021, -0.011, 0.017]) * 80.0
            view = ps.look_at_camera(eye, middle, size=(40, 24))
            with open_renderer(tmp_path / name, device_memory="256MB") as renderer:
                pictures.append(renderer.render(view))
    assert first > 2**31
    near, far = pictures
    assert near.alpha.mean() > 0.3
    np.testing.assert_array_equal(far.rgb, near.rgb)
