"""`plenostream bench` measures each of its parts, and pools are of the sizes it says."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import plenostream as ps
from plenostream.bench.apart import ask
from plenostream.bench.frames import pool_budget, pool_bytes
from plenostream.bench.reads import other_views
from plenostream.bench.scene import BenchSettings, bench_scene
from plenostream.cli import main as cli
from plenostream.errors import InvalidInput, PlenostreamError
from plenostream.options import PARTS
from plenostream.testing.checkpoints import CheckpointArrays

MakeScene = Callable[..., Path]


@pytest.fixture(autouse=True)
def _own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command sets for JAX must not reach other tests, nor the user's caches this one."""
    monkeypatch.setattr(os, "environ", dict(os.environ) | {"XDG_CACHE_HOME": str(tmp_path)})


VIEWS = ["--orbit", "3", "--size", "32x32"]


@pytest.fixture(scope="module")
def scene(gyroid: CheckpointArrays, make_scene: MakeScene) -> Path:
    return make_scene(gyroid)


@pytest.fixture(scope="module")
def told(scene: Path) -> dict[str, Any]:
    """Everything measured once."""
    with ps.open_scene(scene) as opened:
        cameras = ps.orbit_cameras(opened.grid, 3, size=(32, 32))
    shares = (Fraction(1, 2), Fraction(1, 4))
    found = bench_scene(
        str(scene),
        cameras[0],
        cameras,
        options=ps.RenderOptions(),
        stream=ps.StreamOptions(),
        settings=BenchSettings(rounds=1, repeats=1, shares=shares),
        environment=os.environ,
        say=lambda what: None,
        beside={"another": lambda: 0.5},
    )
    as_json: dict[str, Any] = json.loads(json.dumps(found.to_dict()))
    return as_json


def test_frame_is_drawn_resident_and_with_every_pool(told: dict[str, Any]) -> None:
    assert list(told["frames"]["lines"]) == ["resident", "pool 1/2", "pool 1/4"]


def test_what_is_measured_beside_takes_its_turn(told: dict[str, Any]) -> None:
    assert told["frames"]["beside"]["another"]["seconds"] == [0.5]


def test_warm_resident_frame_uploads_and_compiles_nothing(told: dict[str, Any]) -> None:
    stats = told["frames"]["lines"]["resident"]["stats"]
    assert (stats["bytes_uploaded"], stats["bytes_read"], stats["compiles"]) == (0, 0, 0)


def test_smaller_pools_are_smaller_and_upload_more(told: dict[str, Any]) -> None:
    lines = told["frames"]["lines"]
    pools = [lines[f"pool {share}"] for share in ("1/2", "1/4")]
    held = [line["pool_bytes"] for line in pools]
    uploaded = [line["stats"]["bytes_uploaded"] for line in pools]
    assert held == sorted(held, reverse=True)
    assert uploaded == sorted(uploaded)
    assert uploaded[0] > 0


def test_orbit_has_the_views_asked_for(told: dict[str, Any]) -> None:
    assert {name: len(run["frames"]) for name, run in told["orbit"].items()} == {
        "resident": 3,
        "pool 1/4": 3,
    }


def test_first_frame_is_told_with_a_cold_and_a_warm_compile_cache(told: dict[str, Any]) -> None:
    first = told["first_frame"]
    assert first["cold"]["compiles"] == first["warm"]["compiles"] > 0
    assert len(first["cold"]["whole"]["seconds"]) == 1


def test_reads_and_decoding_are_measured(told: dict[str, Any]) -> None:
    assert all(view["stats"]["bytes_read"] > 0 for view in told["reads"].values())
    assert told["decoding"]["bytes"] > 0


def test_pool_budget_leaves_the_share_of_the_working_set_to_the_pool(scene: Path) -> None:
    with ps.open_scene(scene) as opened:
        (camera,) = ps.orbit_cameras(opened.grid, 1, size=(32, 32))
        with ps.Renderer(opened) as renderer:
            whole = renderer.plan(camera)
        budget = pool_budget(whole, Fraction(1, 2))
        stream = ps.StreamOptions(device_memory=budget)
        with ps.Renderer(opened, stream=stream) as renderer:
            half = renderer.plan(camera)
    slot = max(1, pool_bytes(half) // half.n_slots)
    assert pool_bytes(half) <= whole.working_set_bytes / 2
    assert pool_bytes(half) > whole.working_set_bytes / 2 - 2 * slot


def test_pool_budget_is_at_least_what_works(scene: Path) -> None:
    with ps.open_scene(scene) as opened, ps.Renderer(opened) as renderer:
        (camera,) = ps.orbit_cameras(opened.grid, 1, size=(32, 32))
        plan = renderer.plan(camera)
    assert pool_budget(plan, Fraction(1, 10**9)) == plan.smallest_budget_bytes


def test_other_views_look_along_the_same_line(scene: Path) -> None:
    with ps.open_scene(scene) as opened:
        grid = opened.grid
    (camera,) = ps.orbit_cameras(grid, 1, size=(32, 32))
    views = other_views(camera, grid)
    distances = {name: float(abs(view.eye_world).max()) for name, view in views.items()}
    assert distances["near"] < distances["as given"] < distances["far"]
    assert views["zoomed"].fx > camera.fx


def test_command_measures_an_orbit_of_60_views_unless_told_otherwise(
    scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def note(path: str, camera: ps.Camera, orbit: list[ps.Camera], **settings: Any) -> Any:
        asked.update(settings, path=path, orbit=orbit)
        raise PlenostreamError("enough")

    monkeypatch.setattr("plenostream.bench.scene.bench_scene", note)
    assert cli.main(["bench", str(scene), "--rounds", "2", "--parts", "frames"]) == 1
    assert (asked["path"], len(asked["orbit"])) == (str(scene), 60)
    assert asked["settings"] == BenchSettings(rounds=2, repeats=2, parts=("frames",))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rounds", "0"], "expected a whole number from 1"),
        (["--parts", "frames,speed"], "'speed'); expected one or more of"),
    ],
    ids=["no rounds", "unknown part"],
)
def test_usage_that_means_nothing_is_refused(
    arguments: list[str], said: str, scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["bench", str(scene), *VIEWS, *arguments]) == 2
    assert said in capsys.readouterr().err


def test_settings_name_the_parts_that_there_are() -> None:
    with pytest.raises(InvalidInput, match=", ".join(PARTS.choices)):
        BenchSettings(parts=("nothing",))


def test_failure_of_a_process_apart_is_told_with_what_it_said(tmp_path: Path) -> None:
    request = {"scene": str(tmp_path / "none.zarr"), "camera": {}, "options": {}, "stream": {}}
    with pytest.raises(PlenostreamError, match="Camera"):
        ask("plenostream.bench.first_frame", request, environment=os.environ)
