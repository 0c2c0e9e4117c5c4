"""tools/bench scene: each part is measured, and pools are of the sizes it says."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import plenostream as ps
from plenostream.errors import PlenostreamError
from plenostream.plan.budget import RenderPlan
from plenostream.testing.checkpoints import CheckpointArrays

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import click  # noqa: E402
from benchmarks.__main__ import bench  # noqa: E402
from benchmarks.checkout import other_checkout  # noqa: E402
from benchmarks.frames import pool_budget, pool_bytes  # noqa: E402
from benchmarks.scene import Effort, SceneFigures, measure_scene, scene_rows  # noqa: E402
from benchmarks.views import other_views  # noqa: E402

MakeScene = Callable[..., Path]
SIZE = (32, 32)
SHARE = Fraction(1, 4)


@pytest.fixture(autouse=True)
def _own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command sets for JAX must not reach other tests, nor the user's caches this one."""
    monkeypatch.setattr(os, "environ", dict(os.environ) | {"XDG_CACHE_HOME": str(tmp_path)})


@pytest.fixture(scope="module")
def scene(gyroid: CheckpointArrays, make_scene: MakeScene) -> Path:
    return make_scene(gyroid)


@pytest.fixture(scope="module")
def cameras(gyroid: CheckpointArrays) -> list[ps.Camera]:
    return ps.orbit_cameras(gyroid.grid, 2, size=SIZE)


@pytest.fixture(scope="module")
def found(scene: Path, cameras: list[ps.Camera]) -> SceneFigures:
    """All that is measured in this process, once."""
    return measure_scene(
        str(scene),
        cameras[0],
        cameras,
        options=ps.RenderOptions(),
        stream=ps.StreamOptions(n_threads=1),
        effort=Effort(rounds=1, shares=(SHARE,), parts=("orbit", "reads", "decoding")),
        rivals=lambda line, stream: {"another": lambda: 0.5} if line == "resident" else {},
        say=lambda what: None,
    )


def test_frame_is_drawn_resident_and_with_every_pool(found: SceneFigures) -> None:
    assert list(found.frames) == ["resident", "pool 1/4"]


def test_rival_takes_its_turn_and_is_compared(found: SceneFigures) -> None:
    assert found.frames["resident"].rivals["another"].seconds == (0.5,)
    labels = [row.label for row in scene_rows(found)]
    assert "  resident / another" in labels
    assert "  pool 1/4 / resident" in labels


def test_warm_resident_frame_uploads_and_compiles_nothing(found: SceneFigures) -> None:
    stats = found.frames["resident"].stats
    assert (stats.bytes_uploaded, stats.bytes_read, stats.compiles) == (0, 0, 0)


def test_pool_holds_its_share_of_the_working_set_and_the_rest_is_uploaded(
    found: SceneFigures,
) -> None:
    whole, line = found.frames["resident"], found.frames["pool 1/4"]
    allowed = whole.plan.working_set_bytes * SHARE
    assert allowed - 2 * line.pool_bytes / line.plan.n_slots < line.pool_bytes <= allowed
    assert line.stats.bytes_uploaded > 0


def test_orbit_has_the_views_asked_for(found: SceneFigures) -> None:
    assert {name: len(run.frames) for name, run in found.orbit.items()} == {
        "resident": 2,
        "pool 1/4": 2,
    }


def test_reads_and_decoding_are_measured(found: SceneFigures) -> None:
    assert [stats.bytes_read > 0 for stats in found.reads.values()] == [True] * 4
    assert found.decoding is not None
    assert found.decoding.n_bytes > 0


def plan(*, pool: int, others: int, working_set: int, smallest: int) -> RenderPlan:
    return RenderPlan(
        device_items={"pool: bricks": pool, "ray state and output": others},
        host_items={},
        allowed_device_bytes=10**9,
        allowed_host_bytes=10**9,
        smallest_budget_bytes=smallest,
        smallest_host_bytes=0,
        working_set_bytes=working_set,
        n_slots=1,
        n_bands=1,
        bricks_visible=1,
        waves=1,
    )


def test_pool_budget_is_what_else_is_planned_and_the_share_but_at_least_what_works() -> None:
    whole = plan(pool=1000, others=70, working_set=800, smallest=150)
    assert pool_bytes(whole) == 1000
    assert pool_budget(whole, Fraction(1, 4)) == 70 + 200
    assert pool_budget(whole, Fraction(1, 80)) == 150


def test_other_views_look_along_the_same_line(
    gyroid: CheckpointArrays, cameras: list[ps.Camera]
) -> None:
    views = other_views(cameras[0], gyroid.grid)
    distances = {name: float(abs(view.eye_world).max()) for name, view in views.items()}
    assert distances["near"] < distances["as given"] < distances["far"]
    assert views["zoomed"].fx > cameras[0].fx


def run(*arguments: object) -> None:
    bench.main([str(argument) for argument in arguments], standalone_mode=False)


def test_command_measures_an_orbit_of_60_views_unless_told_otherwise(
    scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def note(path: str, camera: ps.Camera, orbit: list[ps.Camera], **settings: Any) -> Any:
        asked.update(settings, path=path, orbit=orbit)
        raise PlenostreamError("enough")

    monkeypatch.setattr("benchmarks.scene.measure_scene", note)
    with pytest.raises(PlenostreamError, match="enough"):
        run("scene", scene, "--rounds", "2", "--parts", "reads", "--precision", "float32")
    assert (asked["path"], len(asked["orbit"])) == (str(scene), 60)
    assert asked["effort"] == Effort(rounds=2, repeats=2, parts=("reads",))
    assert asked["stream"] == ps.StreamOptions(precision="float32")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--rounds", "0"], "not in the range"), (["--parts", "reads,speed"], "no parts speed")],
    ids=["no rounds", "unknown part"],
)
def test_usage_that_means_nothing_is_refused(arguments: list[str], said: str, scene: Path) -> None:
    with pytest.raises(click.UsageError, match=said):
        run("scene", scene, *arguments)


@pytest.mark.slow
def test_another_checkout_draws_the_same_view(scene: Path, cameras: list[ps.Camera]) -> None:
    options = ps.RenderOptions(step_size=1.0)
    with other_checkout(ROOT, str(scene), cameras[0], options) as rivals:
        (draw,) = rivals("resident", ps.StreamOptions(device_memory="1GB")).values()
        for _ in range(2):
            seconds, cpu_seconds = draw()
            assert seconds > 0
            assert cpu_seconds > 0


@pytest.mark.slow
def test_checkout_that_cannot_draw_is_named(tmp_path: Path, cameras: list[ps.Camera]) -> None:
    missing = str(tmp_path / "none.zarr")
    with (
        other_checkout(ROOT, missing, cameras[0], ps.RenderOptions()) as rivals,
        pytest.raises(PlenostreamError, match="cannot draw"),
    ):
        rivals("resident", ps.StreamOptions())[f"resident, {ROOT.name}"]()


def test_figures_are_json_values(found: SceneFigures) -> None:
    from benchmarks.table import as_json

    told = json.loads(json.dumps(as_json(found)))
    assert told["frames"]["pool 1/4"]["plan"]["waves"] >= 1
    assert told["frames"]["resident"]["stats"]["bricks_visible"] > 0
