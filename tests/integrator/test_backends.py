"""Which integrator draws, and that it is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

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
        assert renderer.render(VIEW).stats.backend == backend


def test_auto_takes_one_of_them(path: Path) -> None:
    with ps.open_scene(path) as scene, ps.Renderer(scene) as renderer:
        assert renderer.backend.name in get_args(Backend)[1:]
        assert renderer.render(VIEW).stats.backend == renderer.backend.name


def test_backend_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ps.InvalidInput, match="auto, xla"):
        ps.StreamOptions(backend="cuda")  # type: ignore[arg-type]
