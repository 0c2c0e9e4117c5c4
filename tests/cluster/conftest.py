"""Three worker processes, a scene, and a film of it as one process draws it.

`distributed` is imported by fixtures alone: before pytest catches logs, as a conftest may be read, it
would set up handlers of its own, and a cluster that silences these would silence pytest's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import plenostream as ps
from plenostream.results import RenderResult
from plenostream.testing.checkpoints import CheckpointArrays


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Of three processes of one thread each."""
    from plenostream.cluster.opening import open_client

    with open_client(ps.ClusterOptions(workers=3)) as client:
        yield client


@pytest.fixture
def scene(gyroid: CheckpointArrays, make_scene: Callable[..., Path]) -> Path:
    return make_scene(gyroid)


@pytest.fixture
def film(scene: Path) -> list[RenderResult]:
    """Twelve pictures as this process draws them."""
    from three_workers import OPTIONS, STREAM, cameras

    with ps.open_scene(scene) as opened, ps.Renderer(opened, OPTIONS, STREAM) as renderer:
        return list(renderer.pictures(cameras(scene, 12)))
