"""Host memory of a render: the plan's arithmetic, and rays cut to fit it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import plenostream as ps
from plenostream.engine import host as host_module
from plenostream.engine.host import HostPlanner
from plenostream.engine.ledger import HostLedger
from plenostream.engine.opening import open_session
from plenostream.format.opening import open_store
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.pictures import open_renderer, rays_around

SAME = 2e-5


@pytest.fixture(scope="module")
def scene(gyroid: CheckpointArrays, make_scene: Callable[..., Path]) -> Path:
    return make_scene(gyroid)


def planner(scene: Path, host_memory: int) -> HostPlanner:
    stream = ps.StreamOptions(host_memory=host_memory, n_threads=2)
    with open_store(scene) as store:
        return open_session(store, ps.RenderOptions(), stream)[0].host_planner


def smallest_for_rays(scene: Path, n: int) -> int:
    tight = planner(scene, 1)
    at_once = tight.rays_at_once(n, least_tiles=128)
    with pytest.raises(ps.BudgetError) as refusal:
        tight.rays(n, at_once)
    return refusal.value.smallest_bytes


@pytest.mark.parametrize("n", [1, 10_000, 2_000_000])
@pytest.mark.parametrize("factor", [1.0, 1.3, 2.0, 20.0])
def test_rays_are_cut_to_fit_any_allowance_from_the_smallest_on(
    scene: Path, n: int, factor: float
) -> None:
    allowed = int(smallest_for_rays(scene, n) * factor)
    host = planner(scene, allowed)
    at_once = host.rays_at_once(n, least_tiles=128)
    plan = host.rays(n, at_once)
    assert plan.planned_bytes <= allowed
    assert plan.cache_bytes > 0
    assert at_once.tiles >= 128


def test_more_memory_never_draws_fewer_rays_together(scene: Path) -> None:
    smallest = smallest_for_rays(scene, 10**7)
    tiles = [
        planner(scene, smallest * k).rays_at_once(10**7, least_tiles=128).tiles for k in range(1, 9)
    ]
    assert tiles == sorted(tiles)
    assert tiles[-1] > tiles[0]


def test_plan_of_a_larger_picture_takes_more_for_the_picture_alone(scene: Path) -> None:
    host = planner(scene, 10**9)
    small, large = host.picture(100, 128), host.picture(1100, 128)
    more = {name: large.items[name] - small.items[name] for name in small.items}
    assert more.pop("picture") == 1000 * 40
    assert set(more.values()) == {0}


def test_cache_is_no_larger_than_the_scene_can_use(scene: Path) -> None:
    ample, abundant = planner(scene, 10**9), planner(scene, 10**12)
    assert ample.picture(100, 128).cache_bytes == abundant.picture(100, 128).cache_bytes


def test_ledger_adds_the_peaks_of_all_kinds() -> None:
    ledger = HostLedger()
    for kind, n_bytes in (("items", 5), ("cache", 100), ("items", 7), ("items", 6)):
        ledger.note(kind, n_bytes)
    assert ledger.peak_bytes == 107


@pytest.mark.slow
def test_rays_drawn_in_many_lots_and_portions_see_what_they_see_together(
    scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rays = rays_around(8, 9_000)
    stream = {"backend": "xla", "n_threads": 2}  # whose packets meet boxes in several portions
    with open_renderer(scene, **stream) as renderer:
        together = renderer.render_rays(*rays)
    monkeypatch.setattr(host_module, "_RAYS_AT_ONCE", 8192)
    monkeypatch.setattr(host_module, "_LEAST_PAIRS", 1)
    monkeypatch.setattr(host_module, "_SHARE", 10**9)
    with open_renderer(scene, **stream) as renderer:
        apart = renderer.render_rays(*rays)
    assert apart.stats.bands > 8 >= together.stats.bands
    assert apart.stats.waves > apart.stats.bands
    for name in ("rgb", "alpha", "depth"):
        np.testing.assert_allclose(getattr(apart, name), getattr(together, name), rtol=0, atol=SAME)
