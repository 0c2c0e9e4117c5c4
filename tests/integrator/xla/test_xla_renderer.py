"""The `xla` backend through the whole engine: programs, arrays that live, kernels that fail."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.monitoring
import pytest

import plenostream as ps
from plenostream.integrator.xla.programs import Program
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.invariants import assert_same_picture
from plenostream.testing.pictures import open_renderer

pytestmark = pytest.mark.slow

VIEW = ps.look_at_camera((2.6, 1.1, 1.3), (0.0, 0.0, 0.0), fov_degrees=45.0, size=(64, 48))
XLA = {"backend": "xla"}


@pytest.fixture(scope="module")
def scene(gyroid: CheckpointArrays, make_scene: Callable[..., Path]) -> Path:
    return make_scene(gyroid)


@pytest.fixture(scope="module")
def expected(scene: Path) -> ps.RenderResult:
    with open_renderer(scene, **XLA) as renderer:
        return renderer.render(VIEW)


@contextmanager
def counted_compilations() -> Iterator[list[str]]:
    """What XLA compiles meanwhile, as JAX reports it."""
    compiled: list[str] = []

    def listen(event: str, duration: float, **_: object) -> None:
        if event.endswith("backend_compile_duration"):
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield compiled
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


@pytest.mark.parametrize("budget", ["ample", pytest.param("smallest", marks=pytest.mark.slow)])
def test_orbit_compiles_nothing_after_its_first_frames(
    gyroid: CheckpointArrays, scene: Path, budget: str
) -> None:
    cameras = ps.orbit_cameras(gyroid.grid, 24, size=(64, 64))
    with open_renderer(scene, **XLA) as renderer:
        smallest = max(renderer.plan(camera).smallest_budget_bytes for camera in cameras)
    stream = {"device_memory": smallest} if budget == "smallest" else {}
    with open_renderer(scene, **XLA, **stream) as renderer:
        first = [renderer.render(camera).stats.compiles for camera in cameras[:3]]
        with counted_compilations() as compiled:
            later = [renderer.render(camera).stats.compiles for camera in cameras[3:]]
    assert len(compiled) == 0
    assert sum(later) == 0
    # Seven programs, and where the budget is tight the same for small sizes: see `Renderer`.
    assert sum(first) <= (7 if budget == "ample" else 14)


@pytest.mark.parametrize("share", [1.0, 1.2, 2.0])
def test_first_streamed_picture_counts_what_its_plan_compiles_and_the_second_compiles_nothing(
    scene: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    monkeypatch.setattr("plenostream.integrator.xla.compiled._entries", OrderedDict())
    with open_renderer(scene, **XLA) as renderer:
        smallest = renderer.plan(VIEW).smallest_budget_bytes
    monkeypatch.setattr("plenostream.integrator.xla.compiled._entries", OrderedDict())
    with open_renderer(scene, **XLA, device_memory=int(share * smallest)) as renderer:
        assert renderer.render(VIEW).stats.compiles >= 7
        assert renderer.render(VIEW).stats.compiles == 0


def test_second_renderer_of_the_same_shapes_compiles_nothing(scene: Path) -> None:
    with open_renderer(scene, **XLA) as renderer:
        renderer.render(VIEW)
    with (
        counted_compilations() as compiled,
        open_renderer(scene, **XLA) as renderer,
    ):
        stats = renderer.render(VIEW).stats
    assert (len(compiled), stats.compiles) == (0, 0)


def test_live_arrays_stay_within_what_is_reported(scene: Path) -> None:
    outside = sum(array.nbytes for array in jax.live_arrays())
    with open_renderer(scene, backend="xla") as renderer:
        stats = renderer.render(VIEW).stats
        alive = sum(array.nbytes for array in jax.live_arrays()) - outside
    assert 0 < alive <= stats.peak_device_bytes


def test_closed_renderer_leaves_no_array_on_the_device(scene: Path) -> None:
    before = {id(array) for array in jax.live_arrays()}
    with open_renderer(scene, backend="xla") as renderer:
        renderer.render(VIEW)
    assert [array.shape for array in jax.live_arrays() if id(array) not in before] == []


@pytest.mark.parametrize(
    ("name", "error", "nth"),
    [
        # Each program fails early and late, and in either way.
        ("integrate", ps.DeviceError, 1),
        ("integrate", KeyboardInterrupt, 4),
        ("write bricks", KeyboardInterrupt, 1),
        ("write bricks", ps.DeviceError, 4),
        ("write rows", ps.DeviceError, 1),
        ("write rows", KeyboardInterrupt, 4),
        ("rays", KeyboardInterrupt, 1),
        ("rays", ps.DeviceError, 4),
    ],
)
def test_renderer_stays_usable_after_a_kernel_that_failed(
    scene: Path,
    expected: ps.RenderResult,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    error: type[BaseException],
    nth: int,
) -> None:
    run, calls, fails_at = Program.__call__, [], []

    def fail_once(program: Program, *args: Any) -> object:
        if program.name == name:
            calls.append(name)
            if len(calls) in fails_at:
                for donated in args[0] if name.startswith("write") else ():
                    donated.delete()
                raise error(f"{name} failed")
        return run(program, *args)

    stream = {**XLA, "n_threads": 2}
    with open_renderer(scene, **stream) as renderer:
        smallest = renderer.plan(VIEW).smallest_budget_bytes
    with open_renderer(scene, device_memory=smallest, **stream) as renderer:
        monkeypatch.setattr(Program, "__call__", fail_once)
        renderer.render(VIEW)
        per_picture = len(calls)
        fails_at.append(per_picture + nth)
        for _ in range((nth - 1) // per_picture):
            renderer.render(VIEW)
        with pytest.raises(error, match="failed"):
            renderer.render(VIEW)
        for _ in range(2):
            assert_same_picture(renderer.render(VIEW), expected, at_most=2e-5)
