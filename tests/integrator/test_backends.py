"""Which integrator draws, and that it is said."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import jax
import pytest

import plenostream as ps
from plenostream.options import Backend
from plenostream.testing.checkpoints import CheckpointArrays

VIEW = ps.look_at_camera((2.6, 1.1, 1.3), (0.0, 0.0, 0.0), size=(8, 8))


@pytest.fixture(scope="module")
def path(make_scene: Callable[..., Path], tiny: CheckpointArrays) -> Path:
    return make_scene(tiny)


@pytest.mark.parametrize("backend", sorted({*get_args(Backend)} - {"auto"}))
def test_backend_that_is_asked_for_draws_and_says_so(path: Path, backend: Backend) -> None:
    stream = ps.StreamOptions(backend=backend)
    with ps.open_scene(path) as scene, ps.Renderer(scene, stream=stream) as renderer:
        assert renderer.backend.name == backend
        assert renderer.backend.why == ""
        assert renderer.backend.on_host == (jax.default_backend() == "cpu")
        assert renderer.render(VIEW).stats.backend == backend


def test_auto_takes_one_of_them(path: Path) -> None:
    with ps.open_scene(path) as scene, ps.Renderer(scene) as renderer:
        assert renderer.backend.name in get_args(Backend)[1:]
        assert renderer.render(VIEW).stats.backend == renderer.backend.name


def test_backend_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ps.InvalidInput, match="auto, .*xla"):
        ps.StreamOptions(backend="cuda")  # type: ignore[arg-type]


def on_an_nvidia_gpu(patch: pytest.MonkeyPatch) -> None:
    """`auto` takes the device for one."""
    patch.setattr("plenostream.integrator.backends._is_cpu", lambda _: False)
    patch.setattr("plenostream.integrator.xla.named_device.is_cuda", lambda _: True)


def test_warp_that_is_not_installed_is_said_in_a_line(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(sys.modules):
        if name.startswith("plenostream.integrator.warp."):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "warp", None)
    with ps.open_scene(path) as scene:
        with pytest.raises(ps.DeviceError, match="warp needs warp, which is not .*cuda13") as said:
            ps.Renderer(scene, stream=ps.StreamOptions(backend="warp"))
        assert "\n" not in str(said.value)
        on_an_nvidia_gpu(monkeypatch)
        with ps.Renderer(scene) as renderer:
            assert renderer.backend.name == "xla"
            assert "not installed" in renderer.backend.why


def test_auto_takes_warp_on_an_nvidia_gpu_where_its_kernel_loads(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("warp", reason="needs warp-lang")
    on_an_nvidia_gpu(monkeypatch)
    monkeypatch.setattr("warp.is_cuda_available", lambda: False)
    with ps.open_scene(path) as scene, ps.Renderer(scene) as renderer:
        assert renderer.backend.name == "xla"
        assert "no CUDA driver" in renderer.backend.why
    monkeypatch.setattr("warp.is_cuda_available", lambda: True)  # the kernel loads on a CPU as well
    with ps.open_scene(path) as scene, ps.Renderer(scene) as renderer:
        assert (renderer.backend.name, renderer.backend.why) == ("warp", "")
