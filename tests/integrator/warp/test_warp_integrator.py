"""The integrator in Warp, where it is another than `xla`; what holds for all is tried with each."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest

import plenostream as ps
from plenostream.engine.picture import PictureJob
from plenostream.integrator.interface import Light
from plenostream.integrator.warp import environment
from plenostream.integrator.warp.integrator import WarpIntegrator
from plenostream.integrator.warp.page_locked import Landing
from plenostream.integrator.xla.device import Device
from plenostream.integrator.xla.programs import Program
from plenostream.stream.supply import BrickSupply
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.pictures import open_renderer, rays_around

VIEW = ps.look_at_camera((2.6, 1.1, 1.3), (0.0, 0.0, 0.0), fov_degrees=45.0, size=(64, 48))


@pytest.fixture(scope="module")
def scene(gyroid: CheckpointArrays, make_scene: Callable[..., Path]) -> Path:
    return make_scene(gyroid)


def channels(picture: Any) -> np.ndarray:
    parts = (picture.rgb, picture.alpha[..., None], picture.depth[..., None])
    return np.concatenate(parts, -1)


@pytest.fixture(scope="module")
def whole(scene: Path) -> np.ndarray:
    with open_renderer(scene, backend="warp") as renderer:
        return channels(renderer.render(VIEW))


def test_many_waves_give_the_very_bits_of_one(scene: Path, whole: np.ndarray) -> None:
    with open_renderer(scene, backend="warp") as renderer:
        smallest = renderer.plan(VIEW).smallest_budget_bytes
    with open_renderer(scene, backend="warp", device_memory=smallest) as renderer:
        picture = renderer.render(VIEW)
    assert picture.stats.waves > 3
    np.testing.assert_array_equal(channels(picture), whole)


def test_same_picture_as_xla(scene: Path, whole: np.ndarray) -> None:
    with open_renderer(scene, backend="xla") as renderer:
        np.testing.assert_allclose(channels(renderer.render(VIEW)), whole, rtol=0, atol=2e-5)


def test_ray_that_waits_for_a_brick_is_not_finished(
    scene: Path, whole: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit = BrickSupply.slot_of.fget
    lost: list[int] = []

    def without_some(supply: BrickSupply) -> np.ndarray:
        slots: np.ndarray = admit(supply).copy()
        lost[:] = np.flatnonzero(slots >= 0)[::2].tolist()
        slots[lost] = -1
        return slots

    with open_renderer(scene, backend="warp") as renderer:
        with monkeypatch.context() as patch:
            patch.setattr(BrickSupply, "slot_of", property(without_some))
            with pytest.raises(ps.InternalError, match=r"waits for brick \d+,") as refused:
                renderer.render(VIEW)
        assert int(str(refused.value).split("brick ")[1].split(",")[0]) in lost
        np.testing.assert_array_equal(channels(renderer.render(VIEW)), whole)


def test_warp_is_never_called_on_the_main_thread(
    scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: dict[str, set[threading.Thread]] = {"compiled": set(), "run": set()}
    compile_, run = Device.compile, Program.__call__

    def compile_here(device: Device, name: str, lowered: jax.stages.Lowered) -> Any:
        threads["compiled"].add(threading.current_thread())
        return compile_(device, name, lowered)

    def run_here(program: Program, *args: Any) -> Any:
        if program.name == "integrate":
            threads["run"].add(threading.current_thread())
        return run(program, *args)

    monkeypatch.setattr("plenostream.integrator.xla.compiled._entries", OrderedDict())
    monkeypatch.setattr(Device, "compile", compile_here)
    monkeypatch.setattr(Program, "__call__", run_here)
    with open_renderer(scene, backend="warp") as renderer:
        renderer.render(VIEW)
        renderer.render_rays(*rays_around(1, 100))
    assert threads["compiled"]
    assert threads["run"]
    assert threading.main_thread() not in threads["compiled"] | threads["run"]


def test_warp_allocates_nothing_in_a_frame(scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise AssertionError("Warp allocates")

    with open_renderer(scene, backend="warp") as renderer:
        renderer.render(VIEW)
        for place in ("CpuDefault", "CpuPinned", "CudaDefault", "CudaManaged", "CudaMempool"):
            monkeypatch.setattr(f"warp._src.context.{place}Allocator.allocate", refuse)
        assert renderer.render(VIEW).stats.samples_marched > 0


@pytest.mark.parametrize("error", [RuntimeError("CPU build failed"), OSError("disk full")])
def test_kernel_that_cannot_be_compiled_is_an_error_of_the_device(
    scene: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("plenostream.integrator.warp.programs.walk_kernel", fail)
    monkeypatch.setattr("plenostream.integrator.xla.compiled._entries", OrderedDict())
    with open_renderer(scene, backend="warp") as renderer:
        with pytest.raises(ps.DeviceError, match=f"integrate cannot be compiled .*{error}"):
            renderer.plan(VIEW)


def test_no_pairs_are_made_for_it(scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_renderer(scene, backend="warp") as renderer:
        job = PictureJob(renderer._sessions.current, VIEW)
        advance = WarpIntegrator.advance

        def refuse() -> Iterator[Any]:
            raise AssertionError("a walk needs no pairs")
            yield

        def without(self: WarpIntegrator, _: Any, slot_of: np.ndarray) -> None:
            advance(self, refuse(), slot_of)

        monkeypatch.setattr(WarpIntegrator, "advance", without)
        _, stats = job.draw()
    assert (stats.items, stats.backend) == (0, "warp")
    assert stats.segments > 0


@pytest.mark.slow
def test_warp_says_nothing_and_keeps_its_kernels_beside_jaxs_programs(
    scene: Path, tmp_path: Path
) -> None:
    program = (
        "import sys, plenostream as ps\n"
        "with ps.open_scene(sys.argv[1]) as scene:\n"
        "    stream = ps.StreamOptions(backend='warp')\n"
        "    with ps.Renderer(scene, stream=stream) as renderer:\n"
        "        renderer.render(ps.orbit_cameras(scene.grid, 1, size=(8, 8))[0])\n"
    )
    kept = {name: value for name, value in os.environ.items() if name != "WARP_CACHE_PATH"}
    done = subprocess.run(
        [sys.executable, "-c", program, scene],
        # On a GPU, XLA's own log has lines of its own, and kernels are files of another kind.
        env={**kept, "XDG_CACHE_HOME": str(tmp_path), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list((tmp_path / "plenostream" / "warp").rglob("*walk*.o"))


@pytest.mark.parametrize("light", Light)
def test_auto_takes_it_where_it_loads_the_kernel(
    monkeypatch: pytest.MonkeyPatch, light: Light
) -> None:
    # As on a machine with a GPU, whose place this CPU takes.
    monkeypatch.setattr(environment.wp, "is_cuda_available", lambda: True)
    assert environment.why_not("cpu", 4, "float16", light) == ""


def test_auto_says_why_it_does_not_take_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment.wp, "is_cuda_available", lambda: True)

    def no_driver(*_: object) -> None:
        raise RuntimeError("driver too old")

    kernel = SimpleNamespace(module=SimpleNamespace(load=no_driver))
    monkeypatch.setattr(environment, "walk_kernel", lambda *_: kernel)
    why = environment.why_not("cpu", 4, "float16", Light.MULTIPLIES)
    assert "cannot load its kernel" in why
    assert "driver too old" in why


def test_resident_frame_goes_to_the_device_and_comes_back_at_once(
    scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def count(owner: Any, name: str, what: Callable[..., str]) -> None:
        original = getattr(owner, name)

        def counting(*args: Any, **options: Any) -> Any:
            seen.append(what(*args))
            return original(*args, **options)

        monkeypatch.setattr(owner, name, counting)

    count(jax, "device_put", lambda values, *_: f"up: {len(jax.tree.leaves(values))}")
    count(Program, "__call__", lambda program, *_: f"run: {program.name}")
    count(Landing, "get", lambda _, arrays: f"down: {len(arrays)}")
    with open_renderer(scene, backend="warp") as renderer:
        renderer.render(VIEW)
        moved = ps.look_at_camera((2.2, -1.4, 1.3), (0, 0, 0), fov_degrees=45.0, size=(64, 48))
        for camera, n_up in (
            (VIEW, 1),
            (moved, 2),
        ):  # the tiles, and the pose where it is another one
            seen.clear()
            renderer.render(camera)
            ran = ["run: rays", "run: integrate", "run: compose a walk"]
            assert seen == [f"up: {n_up}", *ran, "down: 1"]
